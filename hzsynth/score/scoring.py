"""The stage `score`: a generated set against photographs, each figure with its conditions."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.score.catalogue import METRICS, load_metric
from hzsynth.score.config import ScoreConfig
from hzsynth.score.extractors import FeatureExtractor, class_scores, create_extractor
from hzsynth.score.feature_cache import FeatureCache
from hzsynth.score.features import extract_features, open_cache
from hzsynth.score.grouping import TONE, check_column, group_values, rows_by_value
from hzsynth.score.metric import PUBLISHED, Conditions, Described, Draws, Metric, Need
from hzsynth.score.metrics.tone import skin_angles
from hzsynth.score.results import Group, Memorisation, Score, ScoreReport, Unavailable

_LARGEST_SIDE = 256


def score_images(
    real: ImageSet,
    fake: ImageSet,
    config: ScoreConfig,
    *,
    compute: Compute,
    progress: Progress = SILENT,
    cache: Path | None = None,
) -> ScoreReport:
    """Scores a generated set against photographs.

    Args:
        real: photographs; for memorisation its train split is what the generator learned from.
        fake: the generated images.
        config: which figures, on which features.
        compute: where to compute features.
        progress: where to report.
        cache: folder that keeps features for the next call (see `score.feature_cache`).

    Returns:
        The figures, each with its conditions and its real-vs-real floor; with ``config.by`` also
        those of each group, from the same features.

    Raises:
        InputError: a set is too small or holds what it must not, or weights are missing.
    """
    metrics = [load_metric(name) for name in METRICS if name in config.metrics]
    _check(real, fake, config, metrics)
    described = (Described(real, {}), Described(fake, {}))
    conditions = _conditions(real, fake, config)
    remarks: tuple[str, ...] = ()
    needs: set[Need] = {metric.needs for metric in metrics}
    if needs & {"features", "class scores"}:
        weights = config.dinov2_weights if config.features == "dinov2" else config.inception_weights
        extractor = create_extractor(config.features, weights=weights, compute=compute)
        size = config.size or _common_size(real, fake)
        known = open_cache(cache, extractor, size)
        described = (
            _with_features(described[0], extractor, size, known, needs, progress),
            _with_features(described[1], extractor, size, known, needs, progress),
        )
        remarks = (known.problem,) if known.problem else ()
        conditions = _on_features(conditions, extractor, size)
    if "tones" in needs or config.by == TONE:
        described = (_with_tones(described[0]), _with_tones(described[1]))
    report = _figures(*described, metrics, conditions)
    if config.by is None:
        return replace(report, remarks=remarks)
    groups = _groups(*described, metrics, config, conditions, config.by)
    return replace(report, remarks=remarks, by=config.by, groups=groups)


def _check(real: ImageSet, fake: ImageSet, config: ScoreConfig, metrics: Sequence[Metric]) -> None:
    for name, images in (("real", real), ("fake", fake)):
        if len(images) < 2:
            raise InputError(f"`{name}` holds {len(images)} images; a score needs at least two")
    made = next((r for r in real if not r.is_real), None)
    if made is not None:
        raise InputError(
            f"`real` must hold photographs only, but '{made.file_name}' is {made.origin}"
        )
    for metric in metrics:
        if metric.elsewhere and config.features != PUBLISHED:
            raise InputError(
                f"{metric.name} is defined on inception features (`features` inception, with "
                f"its weights); on {config.features} ask for '{metric.elsewhere}'"
            )
    if config.by is not None:
        check_column(config.by, real, fake)


def _common_size(real: ImageSet, fake: ImageSet) -> int:
    """The side at which both sets can be shown: else the score would measure the resolution."""
    sides = [np.median([min(r.width, r.height) for r in images]) for images in (real, fake)]
    return int(min(*sides, _LARGEST_SIDE))


def _conditions(real: ImageSet, fake: ImageSet, config: ScoreConfig) -> Conditions:
    draws = Draws(
        config.seed, config.subset_size, config.subsets, config.floor_repeats, config.pairs
    )
    return Conditions(len(real), len(fake), real.digest, fake.digest, draws, "", "")


def _on_features(conditions: Conditions, extractor: FeatureExtractor, size: int) -> Conditions:
    return replace(
        conditions,
        extractor=extractor.name,
        preprocessing=f"centre square, bicubic to {size} px, {extractor.preprocessing}",
        weights=extractor.weights,
        size=size,
        dim=extractor.dim,
    )


def _with_features(
    described: Described,
    extractor: FeatureExtractor,
    size: int,
    known: FeatureCache,
    needs: set[Need],
    progress: Progress,
) -> Described:
    features = extract_features(
        described.images, extractor, size=size, progress=progress, cache=known
    )
    measured: dict[Need, torch.Tensor] = {**described.measured, "features": features}
    if "class scores" in needs:
        measured["class scores"] = class_scores(extractor, features)
    return Described(described.images, measured)


def _with_tones(described: Described) -> Described:
    tones = torch.from_numpy(skin_angles(described.images))
    return Described(described.images, {**described.measured, "tones": tones})


def _figures(
    real: Described, fake: Described, metrics: Sequence[Metric], conditions: Conditions
) -> ScoreReport:
    """All figures of two described sets."""
    conditions = replace(
        conditions,
        n_real=len(real.images),
        n_fake=len(fake.images),
        real_digest=real.images.digest,
        fake_digest=fake.images.digest,
    )
    scores: dict[str, Score] = {}
    unavailable: list[Unavailable] = []
    memorisation = None
    for metric in metrics:
        for figure in metric.figures(real, fake, conditions):
            if isinstance(figure, Score):
                # On Inception features frechet and fid are the same figure.
                scores.setdefault(figure.metric, figure)
            elif isinstance(figure, Unavailable):
                unavailable.append(figure)
            elif isinstance(figure, Memorisation):
                memorisation = figure
    return ScoreReport(tuple(scores.values()), memorisation, tuple(unavailable))


def _groups(
    real: Described,
    fake: Described,
    metrics: Sequence[Metric],
    config: ScoreConfig,
    conditions: Conditions,
    by: str,
) -> tuple[Group, ...]:
    """The figures of each value of a column; a group that can have none says why."""
    values = [group_values(s.images, by, s.measured.get("tones")) for s in (real, fake)]
    groups = []
    for value, (real_rows, fake_rows) in rows_by_value(by, values[0], values[1]).items():
        counts = (len(real_rows), len(fake_rows))
        if min(counts) < config.smallest_group:
            reason = (
                f"{counts[0]} real and {counts[1]} generated images; {config.smallest_group} of each "
                "are needed"
            )
            groups.append(Group(value, *counts, reason=reason))
            continue
        try:
            report = _figures(real.part(real_rows), fake.part(fake_rows), metrics, conditions)
        except InputError as error:
            groups.append(Group(value, *counts, reason=str(error)))
        else:
            groups.append(Group(value, *counts, report=report))
    return tuple(groups)
