"""What a random order of exchangeable things gives: how many of one kind come before the r-th of another."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def quantile_rank(quantile: float, count: int) -> int:
    """Which of `count` values, from the smallest and from 1, stands for a quantile."""
    return max(1, int(np.ceil(quantile * count)))


def near_probability(near: int, fakes: int, rank: int, held_out: int) -> float:
    """P(at least `near` of the generated images come before the `rank`-th held-out photograph).

    In a random order of exchangeable images the number of generated ones before the r-th held-out
    photograph is negative hypergeometric: exact, however few the held-out photographs are.

    Args:
        near: generated images observed below the threshold.
        fakes: generated images.
        rank: which held-out distance is the threshold, from 1.
        held_out: held-out photographs.

    Returns:
        The one-sided p-value.
    """
    if near <= 0:
        return 1.0
    return float(_at_least(np.array([near]), fakes, rank, held_out)[0])


def _at_least(near: NDArray[np.int64], fakes: int, rank: int, held_out: int) -> Floats:
    """The same for many counts from 1."""
    # At least x generated images come first when the first x + r - 1 hold fewer than r photographs:
    # the hypergeometric distribution, which SciPy computes a hundred times faster.
    first = near + rank - 1
    found: Floats = stats.hypergeom.cdf(rank - 1, fakes + held_out, held_out, first)
    return found


@lru_cache(maxsize=256)
def noticeable_share(fakes: int, rank: int, held_out: int, level: float) -> float:
    """The smallest share of near images that `near_probability` calls significant.

    Args:
        fakes: generated images.
        rank: which held-out distance is the threshold, from 1.
        held_out: held-out photographs.
        level: of the test.

    Returns:
        A share in (0, 1]; above 1 where not even copies alone would be noticed.
    """
    enough = np.flatnonzero(_at_least(np.arange(1, fakes + 1), fakes, rank, held_out) < level)
    return float((enough[0] + 1) / fakes) if len(enough) else float("inf")


Stratum = tuple[int, int, int]
"""Generated images, the rank of the threshold from 1, and held-out photographs of a class."""


@lru_cache(maxsize=256)
def near_probabilities(strata: tuple[Stratum, ...]) -> Floats:
    """The same over classes, each with its own threshold.

    Args:
        strata: one a class.

    Returns:
        P(at least x of the generated images come before the thresholds of their classes), for x from 0 to
        all of them.
    """
    tails = [
        np.concatenate([[1.0], _at_least(np.arange(1, fakes + 1), fakes, rank, held_out)])
        for fakes, rank, held_out in strata
    ]
    found: Floats = tails[0]
    for tail in tails[1:]:
        # The numbers of two classes are independent: their sum's chances are the convolution.
        before, own = (-np.diff(np.append(each, 0.0)) for each in (found, tail))
        chances = np.convolve(before, own)
        found = np.minimum(1.0, chances[::-1].cumsum()[::-1])
    return found
