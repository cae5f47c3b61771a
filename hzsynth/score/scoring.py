"""The stage `score`: a generated set against photographs, each figure with its conditions."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.score import fidelity
from hzsynth.score.extractors import (
    FeatureExtractor,
    InceptionPool,
    NetworkExtractor,
    create_extractor,
)
from hzsynth.score.features import extract_features, open_cache
from hzsynth.score.figures import (
    Conditions,
    Draws,
    check_metrics,
    frechet_score,
    inception_score,
    infinity_score,
    kernel_score,
    neighbour_scores,
    tone_score,
    vendi_score,
)
from hzsynth.score.groups import TONE, check_column, group_values, rows_by_value
from hzsynth.score.infinity import NotIdentifiableError
from hzsynth.score.memorisation import Memorisation, nearest_neighbour_memorisation
from hzsynth.score.results import Group, Score, ScoreReport, Unavailable
from hzsynth.score.tone import skin_angles

Metric = Literal[
    "kid",
    "fid",
    "frechet",
    "fid-infinity",
    "frechet-infinity",
    "prdc",
    "vendi",
    "is",
    "tone",
    "memorisation",
]
Features = Literal[
    "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "inception", "dinov2"
]

_LARGEST_SIDE = 256


class ScoreConfig(Config):
    """Settings of `score_images`."""

    metrics: tuple[Metric, ...] = Field(
        ("kid", "prdc", "tone", "memorisation"), description="figures to compute", min_length=1
    )
    features: Features = Field("efficientnet-lite0", description="feature space")
    inception_weights: Path | None = Field(None, description="weights file for inception features")
    dinov2_weights: Path | None = Field(None, description="weights file for dinov2 features")
    by: str | None = Field(
        None, description="column whose values get figures of their own, or tone"
    )
    smallest_group: int = Field(
        12, ge=6, description="images that a group needs in both sets to get figures"
    )
    subset_size: int | None = Field(
        None, ge=2, description="images in a KID subset; by default half of the smaller set"
    )
    subsets: int = Field(100, ge=2, description="KID subsets")
    floor_repeats: int = Field(20, ge=2, description="random divisions for the real-vs-real floor")
    size: int | None = Field(
        None,
        ge=16,
        description="side in pixels to which both sets are brought; by default that of the smaller",
    )
    pairs: int = Field(8, ge=1, description="closest pairs to report")
    seed: int = Field(0, ge=0, description="seed of subsets and divisions")


@dataclass(frozen=True)
class _Described:
    """A set with what was computed of its images, row by row; None where no metric asks."""

    images: ImageSet
    features: torch.Tensor | None
    class_scores: torch.Tensor | None
    angles: torch.Tensor | None

    def part(self, rows: torch.Tensor) -> "_Described":
        """The images of some rows."""
        records = [self.images.records[row] for row in rows.tolist()]
        kept = (
            None if values is None else values[rows]
            for values in (self.features, self.class_scores, self.angles)
        )
        return _Described(self.images.replace_records(records), *kept)


def _common_size(real: ImageSet, fake: ImageSet) -> int:
    """The side at which both sets can be shown: else the score would measure the resolution."""
    sides = [np.median([min(r.width, r.height) for r in images]) for images in (real, fake)]
    return int(min(*sides, _LARGEST_SIDE))


def _memorisation(real: _Described, fake: _Described, extractor: str, pairs: int) -> Memorisation:
    """Train against held-out by the set's splits; without splits all of it counts as train."""
    assert real.features is not None
    assert fake.features is not None
    splits = [record.split in ("val", "test") for record in real.images]
    held_out = torch.tensor(splits, dtype=torch.bool)
    return nearest_neighbour_memorisation(
        fake.features,
        real.features[~held_out],
        real.features[held_out],
        extractor=extractor,
        pairs=pairs,
    )


def _check(real: ImageSet, fake: ImageSet, config: ScoreConfig) -> None:
    for name, images in (("REAL", real), ("FAKE", fake)):
        if len(images) < 2:
            raise InputError(f"{name} holds {len(images)} images; a score needs at least two")
    made = next((r for r in real if not r.is_real), None)
    if made is not None:
        raise InputError(
            f"REAL must hold photographs only, but '{made.file_name}' is {made.origin}"
        )
    check_metrics(config.metrics, config.features)
    if config.by is not None:
        check_column(config.by, real, fake)


def _figures(
    real: _Described, fake: _Described, config: ScoreConfig, conditions: Conditions
) -> ScoreReport:
    """All figures of two described sets."""
    metrics = dict.fromkeys(config.metrics)
    conditions = replace(
        conditions,
        n_real=len(real.images),
        n_fake=len(fake.images),
        real_digest=real.images.digest,
        fake_digest=fake.images.digest,
    )
    scores: list[Score] = []
    unavailable = []
    memorisation = None
    if real.features is not None and fake.features is not None:
        arguments = (real.features, fake.features, conditions)
        if "kid" in metrics:
            scores.append(kernel_score(*arguments))
        if "fid" in metrics or "frechet" in metrics:
            scores.append(frechet_score(*arguments))
        if "fid-infinity" in metrics or "frechet-infinity" in metrics:
            try:
                scores.append(infinity_score(*arguments))
            except NotIdentifiableError as error:
                name = "fid-infinity" if "fid-infinity" in metrics else "frechet-infinity"
                unavailable.append(Unavailable(name, str(error)))
        if "prdc" in metrics:
            scores.extend(neighbour_scores(*arguments))
        if "vendi" in metrics:
            scores.append(vendi_score(*arguments))
        if real.class_scores is not None and fake.class_scores is not None:
            scores.append(inception_score(real.class_scores, fake.class_scores, conditions))
        if "memorisation" in metrics:
            memorisation = _memorisation(real, fake, conditions.extractor, config.pairs)
    if "tone" in metrics and real.angles is not None and fake.angles is not None:
        by_eye = replace(
            conditions,
            extractor="individual typology angle",
            preprocessing="skin outside the lesion",
            weights="",
            size=0,
            dim=0,
        )
        scores.append(tone_score(real.angles, fake.angles, by_eye))
    return ScoreReport(tuple(scores), memorisation, tuple(unavailable))


def _groups(
    real: _Described, fake: _Described, config: ScoreConfig, conditions: Conditions, by: str
) -> tuple[Group, ...]:
    """The figures of each value of a column; a group that can have none says why."""
    values = [group_values(s.images, by, s.angles) for s in (real, fake)]
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
            report = _figures(real.part(real_rows), fake.part(fake_rows), config, conditions)
        except InputError as error:
            groups.append(Group(value, *counts, reason=str(error)))
        else:
            groups.append(Group(value, *counts, report=report))
    return tuple(groups)


def _class_scores(extractor: FeatureExtractor, features: torch.Tensor) -> torch.Tensor:
    assert isinstance(extractor, NetworkExtractor)
    assert isinstance(extractor.network, InceptionPool)
    return extractor.network.class_scores(features)


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
    _check(real, fake, config)
    draws = Draws(config.seed, config.subset_size, config.subsets, config.floor_repeats)
    conditions = Conditions(len(real), len(fake), real.digest, fake.digest, draws, "", "")
    sets = {"real": real, "fake": fake}
    remarks: tuple[str, ...] = ()
    described = {name: _Described(images, None, None, None) for name, images in sets.items()}
    if set(config.metrics) - {"tone"}:
        weights = config.dinov2_weights if config.features == "dinov2" else config.inception_weights
        extractor = create_extractor(config.features, weights=weights, compute=compute)
        size = config.size or _common_size(real, fake)
        known = open_cache(cache, extractor, size)
        for name, images in sets.items():
            features = extract_features(
                images, extractor, size=size, progress=progress, cache=known
            )
            scores = _class_scores(extractor, features) if "is" in config.metrics else None
            described[name] = replace(described[name], features=features, class_scores=scores)
        remarks = (known.problem,) if known.problem else ()
        conditions = replace(
            conditions,
            extractor=extractor.name,
            preprocessing=f"centre square, bicubic to {size} px, {extractor.preprocessing}",
            weights=extractor.weights,
            size=size,
            dim=extractor.dim,
        )
    if "tone" in config.metrics or config.by == TONE:
        for name, images in sets.items():
            angles = torch.from_numpy(skin_angles(images))
            described[name] = replace(described[name], angles=angles)
    pair = described["real"], described["fake"]
    report = _figures(*pair, config, conditions)
    if config.by is None:
        return replace(report, remarks=remarks)
    groups = _groups(*pair, config, conditions, config.by)
    return replace(report, remarks=remarks, by=config.by, groups=groups)


def kid_scorer(
    real_pixels: torch.Tensor, extractor: FeatureExtractor, *, subsets: int = 50, seed: int = 0
) -> Callable[[torch.Tensor], dict[str, float]]:
    """Makes the scorer that a training loop calls now and then.

    Args:
        real_pixels: photographs, uint8 N x 3 x H x W; embedded once.
        extractor: the feature space.
        subsets: KID subsets a call.
        seed: of the subsets: equal calls give equal values.

    Returns:
        A function from generated images, uint8 M x 3 x H x W, to ``kid`` and ``kid_spread``.

    Raises:
        InputError: fewer than five photographs.
    """
    if len(real_pixels) < 5:
        raise InputError(f"KID needs at least five photographs, not {len(real_pixels)}")
    real = extractor(real_pixels)

    def score(fake_pixels: torch.Tensor) -> dict[str, float]:
        size = fidelity.default_subset_size(len(real), len(fake_pixels))
        value, spread = fidelity.kernel_distance(
            real, extractor(fake_pixels), subset_size=size, subsets=subsets, seed=seed
        )
        return {"kid": value, "kid_spread": spread}

    return score
