"""The stage `score`: a generated set against photographs, each figure with its conditions."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_lineage
from hzsynth.core.progress import SILENT, Progress
from hzsynth.score.catalogue import METRICS, load_metric
from hzsynth.score.config import ScoreConfig
from hzsynth.score.copies import FALSE_ALARMS, Memorisation
from hzsynth.score.extractors import FeatureExtractor, class_scores, create_extractor
from hzsynth.score.feature_cache import FeatureCache
from hzsynth.score.features import extract_features, open_cache
from hzsynth.score.grouping import TONE, check_column, group_values, rows_by_value
from hzsynth.score.metric import (
    PUBLISHED,
    Compared,
    Conditions,
    Described,
    Draws,
    Figure,
    Metric,
    Need,
    NotIdentifiableError,
)
from hzsynth.score.metrics.tone import skin_angles
from hzsynth.score.results import Group, Score, ScoreReport, Unavailable
from hzsynth.score.sides import Sides, choose_sides
from hzsynth.statistics.orders import noticeable_share
from hzsynth.statistics.paired import holm

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
        real: photographs; its train split is what the generator learned from, and val and test are what
            the figures are against unless the configuration says otherwise.
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
    sides = choose_sides(real, config.split)
    needs: set[Need] = {metric.needs for metric in metrics}
    conditions = _conditions(real, fake, config)
    described = [Described(real, {}), Described(fake, {})]
    remarks = [*sides.remarks, *_seen(real, fake, sides), *_other_classes(real, fake)]
    if needs & {"features", "class scores"}:
        weights = config.dinov2_weights if config.features == "dinov2" else config.inception_weights
        extractor = create_extractor(config.features, weights=weights, compute=compute)
        size = config.size or _common_size(real, fake)
        known = open_cache(cache, extractor, size)
        described = [
            _with_features(one, extractor, size, known, needs, progress) for one in described
        ]
        conditions = _on_features(conditions, extractor, size)
        remarks += [known.problem] if known.problem else []
    if "tones" in needs or config.by == TONE:
        described = [_with_tones(one) for one in described]
    report = figures_of(sides.compared(*described), metrics, conditions)
    report = replace(report, remarks=tuple(remarks), compared_with=sides.name)
    if config.by is None:
        return report
    groups = _groups(described[0], described[1], sides, metrics, config, conditions, config.by)
    return replace(report, by=config.by, groups=groups)


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


def _seen(real: ImageSet, fake: ImageSet, sides: Sides) -> tuple[str, ...]:
    """That the lineage of the generated images touches the photographs that count as held out."""
    if not fake.lineage or not sides.held_out.any():
        return ()
    rows = np.flatnonzero(sides.held_out)
    try:
        check_lineage([fake], [real.replace_records([real.records[row] for row in rows])])
    except RefusedError as error:
        return (f"the generator may have seen the held-out photographs: {error}",)
    return ()


def _other_classes(real: ImageSet, fake: ImageSet) -> tuple[str, ...]:
    others = [label for label in real.labels if label not in fake.labels]
    if not others or len(others) == len(real.labels):
        return ()
    return (
        f"`real` also shows {', '.join(others)}, which are not among the generated images: compare "
        "one class with `label`",
    )


def _common_size(real: ImageSet, fake: ImageSet) -> int:
    """The side at which both sets can be shown: else the score would measure the resolution."""
    sides = [np.median([min(r.width, r.height) for r in images]) for images in (real, fake)]
    return int(min(*sides, _LARGEST_SIDE))


def _conditions(real: ImageSet, fake: ImageSet, config: ScoreConfig) -> Conditions:
    draws = Draws(
        seed=config.seed,
        subset_size=config.subset_size,
        subsets=config.subsets,
        floor_repeats=config.floor_repeats,
        relabellings=config.relabellings,
        pairs=config.pairs,
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


def figures_of(sets: Compared, metrics: Sequence[Metric], conditions: Conditions) -> ScoreReport:
    """All figures of described sets, with chances that hold for them together.

    Args:
        sets: photographs and generated images, with what the metrics need.
        metrics: what is computed.
        conditions: of the sets; counts and digests are filled in.

    Returns:
        The figures.

    Raises:
        InputError: a setting is not possible with these sets.
    """
    conditions = replace(
        conditions,
        n_real=len(sets.real.images),
        n_fake=len(sets.fake.images),
        real_digest=sets.real.images.digest,
        fake_digest=sets.fake.images.digest,
    )
    scores: dict[str, Score] = {}
    unavailable: list[Unavailable] = []
    memorisation = None
    for metric in _with_copies(sets, metrics):
        for figure in _tried(metric, sets, conditions):
            if isinstance(figure, Score):
                # On Inception features frechet and fid are the same figure.
                scores.setdefault(figure.metric, figure)
            elif isinstance(figure, Unavailable):
                unavailable.append(figure)
            elif isinstance(figure, Memorisation):
                memorisation = figure
    return _adjusted(list(scores.values()), memorisation, tuple(unavailable))


def _tried(metric: Metric, sets: Compared, conditions: Conditions) -> Iterable[Figure]:
    try:
        return metric.figures(sets, conditions)
    except NotIdentifiableError as error:
        return (Unavailable(metric.name, str(error)),)


def _with_copies(sets: Compared, metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics, and the search for copies where it can be: no other figure tells a copier from a good one."""
    searched = any(metric.name == "memorisation" for metric in metrics)
    on_features = any(metric.needs != "tones" for metric in metrics)
    known = sets.held_out is not None and sets.members is not None and len(sets.members.images) > 1
    if searched or not on_features or not known:
        return list(metrics)
    return [*metrics, load_metric("memorisation")]


def _adjusted(
    scores: list[Score], memorisation: Memorisation | None, unavailable: tuple[Unavailable, ...]
) -> ScoreReport:
    """The report, with chances that hold for all its figures together."""
    asked = [score.p for score in scores] + [None if memorisation is None else memorisation.p]
    adjusted = iter(holm([p for p in asked if p is not None]))
    together = [None if p is None else next(adjusted) for p in asked]
    if memorisation is not None:
        held = memorisation.n_fake, memorisation.rank, memorisation.n_reference
        level = FALSE_ALARMS / max(1, sum(p is not None for p in asked))
        memorisation = replace(
            memorisation, p_adjusted=together[-1], noticeable=noticeable_share(*held, level)
        )
    judged = (replace(score, p_adjusted=p) for score, p in zip(scores, together[:-1], strict=True))
    return ScoreReport(tuple(judged), memorisation, unavailable)


def _groups(
    real: Described,
    fake: Described,
    sides: Sides,
    metrics: Sequence[Metric],
    config: ScoreConfig,
    conditions: Conditions,
    by: str,
) -> tuple[Group, ...]:
    """The figures of each value of a column; a group that can have none says why."""
    values = [group_values(s.images, by, s.measured.get("tones")) for s in (real, fake)]
    groups = []
    for value, (real_rows, fake_rows) in rows_by_value(by, values[0], values[1]).items():
        own = sides.part(real_rows)
        counts = (int(own.reference.sum()), len(fake_rows))
        if min(counts) < config.smallest_group:
            reason = (
                f"{counts[0]} real and {counts[1]} generated images; {config.smallest_group} of each "
                "are needed"
            )
            groups.append(Group(value, *counts, reason=reason))
            continue
        try:
            sets = own.compared(real.part(real_rows), fake.part(fake_rows))
            report = figures_of(sets, metrics, conditions)
        except InputError as error:
            groups.append(Group(value, *counts, reason=str(error)))
        else:
            groups.append(Group(value, *counts, report=report))
    return tuple(groups)
