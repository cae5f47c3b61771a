"""The Frechet distance at infinitely many images (Chong and Forsyth 2020, arXiv:1911.07023).

    d(N) = d(infinity) + b / N

The Frechet distance of N images is too large by a bias that falls as 1/N. It is computed on
growing subsets, drawn without replacement, and the line through it against 1/N is read at
1/N = 0. The paper varies the generated images only and has 50,000 photographs; here both sets
are small, so both are drawn at N, and the bias of both is removed.

The line holds where N is large against the dimensions in which the features vary: fewer images
than dimensions are refused, and the larger half of the subsets must lead to the same end as all
of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import numpy_generator
from hzsynth.data.independence import halves
from hzsynth.score.catalogue import MetricName
from hzsynth.score.floors import Beside, Floor, mean_and_spread
from hzsynth.score.metric import PUBLISHED, Compared, Conditions, Metric, NotIdentifiableError
from hzsynth.score.metrics.frechet import frechet_distance
from hzsynth.score.results import Fit, Score

SMALLEST_SUBSET = 30
_SUBSETS = 15
_SHARE_OF_SMALLEST = 3
_TOLERATED_SHARE = 0.1
_FITTED_FLOORS = 5


@dataclass(frozen=True)
class Line:
    """A straight line fitted against 1/N by least squares.

    Attributes:
        at_infinity: its value at 1/N = 0.
        standard_error: of that value, from the scatter about the line; it does not hold what
            other photographs would have given.
        sizes: subset sizes N, growing.
        distances: the Frechet distance at each size.
    """

    at_infinity: float
    standard_error: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]


def fit_line(sizes: Sequence[int], distances: Sequence[float]) -> Line:
    """Fits a line against 1/N.

    Args:
        sizes: at least three different subset sizes.
        distances: one a size.

    Returns:
        The line.

    Raises:
        InputError: fewer than three sizes.

    Examples:
        >>> round(fit_line([10, 20, 40], [2 + 30 / n for n in (10, 20, 40)]).at_infinity, 6)
        2.0
    """
    if len(set(sizes)) < 3:
        raise InputError(f"a line with an error needs three subset sizes, not {len(set(sizes))}")
    inverse: NDArray[np.float64] = 1.0 / np.asarray(sizes, dtype=np.float64)
    design = np.stack([np.ones_like(inverse), inverse], axis=1)
    values = np.asarray(distances, dtype=np.float64)
    coefficients = np.linalg.lstsq(design, values)[0]
    variance = ((values - design @ coefficients) ** 2).sum() / (len(values) - 2)
    error = np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0])
    return Line(float(coefficients[0]), float(error), tuple(sizes), tuple(distances))


def frechet_distance_at_infinity(real: torch.Tensor, fake: torch.Tensor, *, seed: int = 0) -> Line:
    """Extrapolates the Frechet distance to infinitely many images in both sets.

    Args:
        real: float N x D.
        fake: float M x D.
        seed: of the subsets.

    Returns:
        The line; its value may be slightly negative where the true distance is 0.

    Raises:
        NotIdentifiableError: too few images, or the distances do not lie on a line in 1/N.
    """
    largest = min(len(real), len(fake))
    smallest = largest // _SHARE_OF_SMALLEST
    if smallest < SMALLEST_SUBSET:
        raise NotIdentifiableError(
            f"not identifiable: the line needs at least {_SHARE_OF_SMALLEST * SMALLEST_SUBSET} "
            f"images in each set, and there are {len(real)} and {len(fake)}"
        )
    dimensions = real.shape[1]
    if largest <= dimensions:
        raise NotIdentifiableError(
            f"not identifiable: with fewer images than the features have dimensions ({len(real)} and "
            f"{len(fake)}, {dimensions}) the distance does not fall on a line in 1/N"
        )
    generator = numpy_generator(seed, "frechet-infinity")
    sizes = [int(n) for n in np.linspace(smallest, largest, _SUBSETS)]
    distances = []
    for size in sizes:
        first, second = (
            features[torch.from_numpy(generator.permutation(len(features))[:size])]
            for features in (real, fake)
        )
        distances.append(frechet_distance(first, second))
    line = fit_line(sizes, distances)
    later = fit_line(sizes[_SUBSETS // 2 :], distances[_SUBSETS // 2 :])
    removed = abs(distances[-1] - later.at_infinity)
    scatter = math.hypot(line.standard_error, later.standard_error)
    tolerated = max(3 * scatter, _TOLERATED_SHARE * removed)
    if abs(line.at_infinity - later.at_infinity) > tolerated:
        raise NotIdentifiableError(
            f"not identifiable: on {sizes[0]} to {sizes[-1]} images in {dimensions} dimensions the "
            f"distance does not fall on a line in 1/N (all subsets lead to {line.at_infinity:.4g}, "
            f"the larger half to {later.at_infinity:.4g}); it needs more images"
        )
    return line


class FrechetInfinity(Metric):
    """The extrapolated distance with its line, or why there is none."""

    name: ClassVar[MetricName] = "frechet-infinity"

    def figures(self, sets: Compared, conditions: Conditions) -> tuple[Score]:
        """One figure (see `Metric`)."""
        photographs, generated = sets.values("features")
        line = frechet_distance_at_infinity(photographs, generated, seed=conditions.draws.seed)
        part = min(len(photographs) // 2, len(generated))
        below = (
            " It came out below 0, which means 0 within its error." if line.at_infinity < 0 else ""
        )
        published = conditions.extractor == PUBLISHED
        return (
            conditions.score(
                "fid-infinity" if published else f"frechet-infinity-{conditions.extractor}",
                line.at_infinity,
                "lower",
                Beside(floor=_floor(photographs, sets.units, conditions.draws.seed), n_floor=part),
                spread=line.standard_error,
                fit=Fit(line.sizes, line.distances, line.standard_error),
                note=(
                    "It is what the line through the subsets gives for infinitely many images."
                    f"{below} Its error does not hold what other photographs would have given"
                ),
                beside_conditions=True,
            ),
        )


def _floor(photographs: torch.Tensor, units: NDArray[np.int64], seed: int) -> Floor | None:
    # A floor is fifteen distances: a few divisions show where it lies.
    values = []
    for number in range(_FITTED_FLOORS):
        first = torch.from_numpy(halves(units, seed, "floor", str(number)))
        try:
            line = frechet_distance_at_infinity(photographs[first], photographs[~first], seed=seed)
        except NotIdentifiableError:
            return None
        values.append(line.at_infinity)
    return mean_and_spread(values)


METRIC = FrechetInfinity()
