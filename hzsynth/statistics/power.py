"""What a comparison of two classifiers can find: the power of the exact McNemar test."""

import numpy as np
from scipy import stats


def mcnemar_power(
    positives: int, gain: float = 0.10, lost: float = 0.05, level: float = 0.05
) -> float:
    """Power of the exact McNemar test to find a gain in recall, computed exactly.

    Of the positives, the better classifier finds a share `gain + lost` that the other misses
    and misses a share `lost` that the other finds. The power is the probability of a
    significant result in favour of the better one.

    Args:
        positives: test images of the target class.
        gain: difference in recall, such as 0.10 for ten points.
        lost: share of positives that the better classifier loses.
        level: of the two-sided test.

    Returns:
        The power, in [0, 1].
    """
    disagree = gain + 2 * lost
    disagreements = np.arange(positives + 1)
    # With d disagreements the test is significant up to this many losses (-1: never).
    losses = stats.binom.ppf(level / 2, disagreements, 0.5)
    losses -= stats.binom.cdf(losses, disagreements, 0.5) > level / 2
    found = stats.binom.cdf(losses, disagreements, lost / disagree)
    return float((stats.binom.pmf(disagreements, positives, disagree) * found).sum())


def positives_for_power(
    power: float = 0.8, gain: float = 0.10, lost: float = 0.05, most: int = 5000
) -> int | None:
    """The smallest number of test positives with at least this power, to the nearest ten.

    Args:
        power: wanted power of `mcnemar_power`.
        gain: see `mcnemar_power`.
        lost: see `mcnemar_power`.
        most: where the search ends.

    Returns:
        The number, or None when `most` is not enough.
    """
    low, high = 0, most // 10
    if mcnemar_power(high * 10, gain, lost) < power:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if mcnemar_power(middle * 10, gain, lost) >= power:
            high = middle
        else:
            low = middle
    return high * 10
