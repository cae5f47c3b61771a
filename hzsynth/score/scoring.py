"""The stage `score`: a generated set against photographs, each figure with its conditions."""

from collections.abc import Callable
from dataclasses import dataclass
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
from hzsynth.score.extractors import FeatureExtractor, create_extractor, extract_features
from hzsynth.score.memorisation import Memorisation, nearest_neighbour_memorisation
from hzsynth.score.results import Direction, Score, ScoreReport
from hzsynth.score.tone import skin_angles, tone_distance

Metric = Literal["kid", "fid", "frechet", "prdc", "vendi", "tone", "memorisation"]
Features = Literal["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "inception"]

_LARGEST_SIDE = 256
_PRDC = ("precision", "recall", "density", "coverage")


class ScoreConfig(Config):
    """Settings of `score_images`."""

    metrics: tuple[Metric, ...] = Field(
        ("kid", "prdc", "tone", "memorisation"), description="figures to compute", min_length=1
    )
    features: Features = Field("efficientnet-lite0", description="feature space")
    inception_weights: Path | None = Field(None, description="weights file for inception features")
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
class _Conditions:
    """What all scores of one call share."""

    n_real: int
    n_fake: int
    seed: int
    real_digest: str
    fake_digest: str
    extractor: str
    preprocessing: str

    def score(
        self,
        metric: str,
        value: float,
        better: Direction,
        *,
        spread: float | None = None,
        floor: tuple[float, float] | None = None,
        n_floor: int = 0,
        subset_size: int = 0,
        subsets: int = 0,
    ) -> Score:
        return Score(
            metric=metric,
            value=value,
            spread=spread,
            floor=None if floor is None else floor[0],
            floor_spread=None if floor is None else floor[1],
            better=better,
            n_real=self.n_real,
            n_fake=self.n_fake,
            n_floor=n_floor if floor is not None else 0,
            subset_size=subset_size,
            subsets=subsets,
            seed=self.seed,
            extractor=self.extractor,
            preprocessing=self.preprocessing,
            real_digest=self.real_digest,
            fake_digest=self.fake_digest,
        )


def _common_size(real: ImageSet, fake: ImageSet) -> int:
    """The side at which both sets can be shown: else the score would measure the resolution."""
    sides = [np.median([min(r.width, r.height) for r in images]) for images in (real, fake)]
    return int(min(*sides, _LARGEST_SIDE))


def _floor(
    metric: Callable[[torch.Tensor, torch.Tensor], float],
    real: torch.Tensor,
    part: int,
    smallest: int,
    config: ScoreConfig,
) -> tuple[float, float] | None:
    if part < smallest:
        return None
    return fidelity.floor_of(
        metric, real, part=part, repeats=config.floor_repeats, seed=config.seed
    )


def _kernel_score(
    real: torch.Tensor, fake: torch.Tensor, config: ScoreConfig, conditions: _Conditions
) -> Score:
    size = config.subset_size or fidelity.default_subset_size(len(real), len(fake))
    value, spread = fidelity.kernel_distance(
        real, fake, subset_size=size, subsets=config.subsets, seed=config.seed
    )
    part = min(size, len(real) // 2)
    return conditions.score(
        f"kid-{conditions.extractor}",
        value,
        "lower",
        spread=spread,
        floor=_floor(fidelity.squared_mmd, real, part, 2, config),
        n_floor=part,
        subset_size=size,
        subsets=config.subsets,
    )


def _frechet_score(
    real: torch.Tensor, fake: torch.Tensor, config: ScoreConfig, conditions: _Conditions
) -> Score:
    part = min(len(real) // 2, len(fake))
    published = conditions.extractor == "inception"
    return conditions.score(
        "fid" if published else f"frechet-{conditions.extractor}",
        fidelity.frechet_distance(real, fake),
        "lower",
        floor=_floor(fidelity.frechet_distance, real, part, 2, config),
        n_floor=part,
    )


def _neighbour_scores(
    real: torch.Tensor, fake: torch.Tensor, config: ScoreConfig, conditions: _Conditions
) -> list[Score]:
    values = fidelity.precision_recall_density_coverage(real, fake)
    part = min(len(real) // 2, len(fake))
    floors: dict[str, tuple[float, float]] = {}
    if part > 5:
        parts = fidelity.random_parts(len(real), part, config.floor_repeats, config.seed)
        repeats = [fidelity.precision_recall_density_coverage(real[a], real[b]) for a, b in parts]
        for name in _PRDC:
            column = [repeat[name] for repeat in repeats]
            floors[name] = (float(np.mean(column)), float(np.std(column)))
    return [
        conditions.score(
            f"{name}-{conditions.extractor}",
            values[name],
            "higher",
            floor=floors.get(name),
            n_floor=part,
        )
        for name in _PRDC
    ]


def _vendi_score(
    real: torch.Tensor, fake: torch.Tensor, config: ScoreConfig, conditions: _Conditions
) -> Score:
    # The Vendi score grows with the number of images: both sides are taken at the same number.
    part = min(len(real), len(fake))
    draws = fidelity.random_parts(len(fake), part, config.floor_repeats, config.seed)
    values = [fidelity.vendi_score(fake[chosen]) for chosen, _ in draws]
    draws = fidelity.random_parts(len(real), part, config.floor_repeats, config.seed)
    floors = [fidelity.vendi_score(real[chosen]) for chosen, _ in draws]
    return conditions.score(
        f"vendi-{conditions.extractor}",
        float(np.mean(values)),
        "higher",
        spread=float(np.std(values)),
        floor=(float(np.mean(floors)), float(np.std(floors))),
        n_floor=part,
        subset_size=part,
        subsets=config.floor_repeats,
    )


def _tone_score(
    real: ImageSet, fake: ImageSet, config: ScoreConfig, conditions: _Conditions
) -> Score:
    real_angles, fake_angles = (torch.from_numpy(skin_angles(i)) for i in (real, fake))
    part = min(len(real) // 2, len(fake))

    def distance(first: torch.Tensor, second: torch.Tensor) -> float:
        return tone_distance(first.numpy(), second.numpy())

    return conditions.score(
        "tone-distance",
        distance(real_angles, fake_angles),
        "lower",
        floor=_floor(distance, real_angles, part, 1, config),
        n_floor=part,
    )


def _memorisation(
    real: ImageSet, features: torch.Tensor, fake: torch.Tensor, extractor: str, pairs: int
) -> Memorisation:
    """Train against held-out by the set's splits; without splits all of it counts as train."""
    held_out = torch.tensor([r.split in ("val", "test") for r in real], dtype=torch.bool)
    return nearest_neighbour_memorisation(
        fake, features[~held_out], features[held_out], extractor=extractor, pairs=pairs
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
    if "fid" in config.metrics and config.features != "inception":
        raise InputError(
            f"fid is defined on inception features; on {config.features} ask for 'frechet'"
        )


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
        cache: folder that keeps features for the next call.

    Returns:
        The figures, each with its conditions and its real-vs-real floor.

    Raises:
        InputError: a set is too small or holds what it must not, or weights are missing.
    """
    _check(real, fake, config)
    size = config.size or _common_size(real, fake)
    metrics = dict.fromkeys(config.metrics)
    shared = (len(real), len(fake), config.seed, real.digest, fake.digest)
    scores: list[Score] = []
    memorisation = None
    if set(metrics) - {"tone"}:
        extractor = create_extractor(
            config.features, weights=config.inception_weights, compute=compute
        )
        real_features, fake_features = (
            extract_features(images, extractor, size=size, progress=progress, cache=cache)
            for images in (real, fake)
        )
        preprocessing = f"centre square at {size} px, {extractor.preprocessing}"
        conditions = _Conditions(*shared, extractor.name, preprocessing)
        arguments = (real_features, fake_features, config, conditions)
        if "kid" in metrics:
            scores.append(_kernel_score(*arguments))
        if "fid" in metrics or "frechet" in metrics:
            scores.append(_frechet_score(*arguments))
        if "prdc" in metrics:
            scores.extend(_neighbour_scores(*arguments))
        if "vendi" in metrics:
            scores.append(_vendi_score(*arguments))
        if "memorisation" in metrics:
            memorisation = _memorisation(
                real, real_features, fake_features, extractor.name, config.pairs
            )
    if "tone" in metrics:
        conditions = _Conditions(*shared, "individual typology angle", "skin outside the lesion")
        scores.append(_tone_score(real, fake, config, conditions))
    return ScoreReport(tuple(scores), memorisation)


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
