"""Each metric on the features of two sets, with its conditions and its real-vs-real floor."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from hzsynth.core.errors import InputError
from hzsynth.score import fidelity
from hzsynth.score.infinity import Line, NotIdentifiableError, frechet_distance_at_infinity
from hzsynth.score.results import Direction, Fit, Score
from hzsynth.score.tone import tone_distance

PRDC = ("precision", "recall", "density", "coverage")
PUBLISHED = "inception"
"""The features on which FID and the Inception score are defined."""

_SPLITS = 10
_SMALLEST_SPLIT = 100
_FITTED_FLOORS = 5


@dataclass(frozen=True)
class Draws:
    """The random draws behind the figures.

    Attributes:
        seed: of subsets and divisions.
        subset_size: images in a KID subset; None: half of the smaller set.
        subsets: KID subsets.
        floor_repeats: random divisions of the photographs.
    """

    seed: int
    subset_size: int | None
    subsets: int
    floor_repeats: int


@dataclass(frozen=True)
class Conditions:
    """What all figures of two sets share; the attributes are those of `Score`."""

    n_real: int
    n_fake: int
    real_digest: str
    fake_digest: str
    draws: Draws
    extractor: str
    preprocessing: str
    weights: str = ""
    size: int = 0
    dim: int = 0

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
        fit: Fit | None = None,
    ) -> Score:
        """A figure under these conditions."""
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
            seed=self.draws.seed,
            extractor=self.extractor,
            weights=self.weights,
            size=self.size,
            preprocessing=self.preprocessing,
            dim=self.dim,
            real_digest=self.real_digest,
            fake_digest=self.fake_digest,
            fit=fit,
        )

    def floor(
        self,
        metric: Callable[[torch.Tensor, torch.Tensor], float],
        real: torch.Tensor,
        part: int,
        smallest: int,
    ) -> tuple[float, float] | None:
        """Real against real (see `fidelity.floor_of`); None below `smallest` images a part."""
        if part < smallest:
            return None
        draws = self.draws
        return fidelity.floor_of(
            metric, real, part=part, repeats=draws.floor_repeats, seed=draws.seed
        )


def kernel_score(real: torch.Tensor, fake: torch.Tensor, conditions: Conditions) -> Score:
    """KID."""
    draws = conditions.draws
    size = draws.subset_size or fidelity.default_subset_size(len(real), len(fake))
    value, spread = fidelity.kernel_distance(
        real, fake, subset_size=size, subsets=draws.subsets, seed=draws.seed
    )
    part = min(size, len(real) // 2)
    floor = None
    if part >= 2:
        floor = fidelity.kernel_floor(real, part=part, repeats=draws.floor_repeats, seed=draws.seed)
    return conditions.score(
        f"kid-{conditions.extractor}",
        value,
        "lower",
        spread=spread,
        floor=floor,
        n_floor=part,
        subset_size=size,
        subsets=draws.subsets,
    )


def frechet_score(real: torch.Tensor, fake: torch.Tensor, conditions: Conditions) -> Score:
    """FID on the published features, else a Frechet distance under its features' name."""
    part = min(len(real) // 2, len(fake))
    published = conditions.extractor == PUBLISHED
    return conditions.score(
        "fid" if published else f"frechet-{conditions.extractor}",
        fidelity.frechet_distance(real, fake),
        "lower",
        floor=conditions.floor(fidelity.frechet_distance, real, part, 2),
        n_floor=part,
    )


def infinity_score(real: torch.Tensor, fake: torch.Tensor, conditions: Conditions) -> Score:
    """The Frechet distance extrapolated to infinitely many images.

    Raises:
        NotIdentifiableError: there are too few images.
    """
    seed = conditions.draws.seed
    line = frechet_distance_at_infinity(real, fake, seed=seed)
    part = min(len(real) // 2, len(fake))
    floors: list[Line] = []
    try:
        # A floor is fifteen distances: a few divisions show where it lies.
        floors = [
            frechet_distance_at_infinity(real[a], real[b], seed=seed)
            for a, b in fidelity.random_parts(len(real), part, _FITTED_FLOORS, seed)
        ]
    except NotIdentifiableError:
        floor = None
    else:
        values = [floor_line.at_infinity for floor_line in floors]
        floor = (float(np.mean(values)), float(np.std(values)))
    published = conditions.extractor == PUBLISHED
    return conditions.score(
        "fid-infinity" if published else f"frechet-infinity-{conditions.extractor}",
        line.at_infinity,
        "lower",
        spread=line.standard_error,
        floor=floor,
        n_floor=part,
        fit=Fit(line.sizes, line.distances, line.standard_error),
    )


def neighbour_scores(
    real: torch.Tensor, fake: torch.Tensor, conditions: Conditions
) -> tuple[Score, ...]:
    """Precision, recall, density and coverage."""
    values = fidelity.precision_recall_density_coverage(real, fake)
    part = min(len(real) // 2, len(fake))
    draws = conditions.draws
    floors: dict[str, tuple[float, float]] = {}
    if part > 5:
        parts = fidelity.random_parts(len(real), part, draws.floor_repeats, draws.seed)
        repeats = [fidelity.precision_recall_density_coverage(real[a], real[b]) for a, b in parts]
        for name in PRDC:
            column = [repeat[name] for repeat in repeats]
            floors[name] = (float(np.mean(column)), float(np.std(column)))
    return tuple(
        conditions.score(
            f"{name}-{conditions.extractor}",
            values[name],
            "higher",
            floor=floors.get(name),
            n_floor=part,
        )
        for name in PRDC
    )


def vendi_score(real: torch.Tensor, fake: torch.Tensor, conditions: Conditions) -> Score:
    """The Vendi score, which grows with the number of images: both sides at the same number."""
    return _of_one_set("vendi", fidelity.vendi_score, real, fake, conditions)


def inception_score(real: torch.Tensor, fake: torch.Tensor, conditions: Conditions) -> Score:
    """The Inception score of equally many generated images and photographs.

    Args:
        real: float N x 1008, Inception's class scores without bias.
        fake: float M x 1008.
        conditions: shared by all figures.

    Returns:
        The score; over ten splits as published where each holds a hundred images, else over one.
    """
    part = min(len(real), len(fake))
    splits = _SPLITS if part >= _SPLITS * _SMALLEST_SPLIT else 1
    score = _of_one_set(
        "is", lambda scores: fidelity.inception_score(scores, splits=splits), real, fake, conditions
    )
    return replace(score, metric="is")


def _of_one_set(
    name: str,
    metric: Callable[[torch.Tensor], float],
    real: torch.Tensor,
    fake: torch.Tensor,
    conditions: Conditions,
) -> Score:
    """A figure about one set, of as many generated images as photographs."""
    part = min(len(real), len(fake))
    draws = conditions.draws

    def repeats(values: torch.Tensor) -> tuple[float, float]:
        chosen = fidelity.random_parts(len(values), part, draws.floor_repeats, draws.seed)
        figures = [metric(values[rows]) for rows, _ in chosen]
        return float(np.mean(figures)), float(np.std(figures))

    value, spread = repeats(fake)
    return conditions.score(
        f"{name}-{conditions.extractor}",
        value,
        "higher",
        spread=spread,
        floor=repeats(real),
        n_floor=part,
        subset_size=part,
        subsets=draws.floor_repeats,
    )


def tone_score(real: torch.Tensor, fake: torch.Tensor, conditions: Conditions) -> Score:
    """The distance of skin tones, from N and M angles in degrees."""
    part = min(len(real) // 2, len(fake))

    def distance(first: torch.Tensor, second: torch.Tensor) -> float:
        return tone_distance(first.numpy(), second.numpy())

    return conditions.score(
        "tone-distance",
        distance(real, fake),
        "lower",
        floor=conditions.floor(distance, real, part, 1),
        n_floor=part,
    )


def check_metrics(metrics: tuple[str, ...], features: str) -> None:
    """Refuses a metric that is not defined on the features.

    Raises:
        InputError: FID, its extrapolation or the Inception score on other features.
    """
    if features == PUBLISHED:
        return
    others = {"fid": "frechet", "fid-infinity": "frechet-infinity", "is": "vendi"}
    for metric, other in others.items():
        if metric in metrics:
            raise InputError(
                f"{metric} is defined on inception features (--features inception, with its "
                f"weights); on {features} ask for '{other}'"
            )
