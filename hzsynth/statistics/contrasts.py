"""Tests and intervals for comparing classifiers, as pure functions.

Papers: Nadeau and Bengio 2003 ("Inference for the generalization error"), McNemar 1947 in
its exact form, DeLong, DeLong and Clarke-Pearson 1988 with the midranks of Sun and Xu 2014,
Holm 1979. Standard procedures come from SciPy and statsmodels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from hzsynth.core.errors import InputError


@dataclass(frozen=True)
class Difference:
    """An estimated difference with its uncertainty.

    Attributes:
        estimate: first minus second.
        standard_error: of the estimate.
        degrees_of_freedom: of its t distribution; infinity for a normal one.
        low: lower end of the two-sided interval.
        high: upper end.
        p_value: two-sided, of no difference.
    """

    estimate: float
    standard_error: float
    degrees_of_freedom: float
    low: float
    high: float
    p_value: float


def t_difference(
    estimate: float, standard_error: float, degrees_of_freedom: float, confidence: float = 0.95
) -> Difference:
    """The interval and the p-value of an estimate whose error follows a t distribution.

    Without any spread (standard error 0) the interval is the estimate itself, and p is 1
    for an estimate of 0 and 0 otherwise.
    """
    if standard_error == 0:
        p = 1.0 if estimate == 0 else 0.0
        return Difference(estimate, 0.0, degrees_of_freedom, estimate, estimate, p)
    reach = stats.t.ppf(0.5 + confidence / 2, degrees_of_freedom) * standard_error
    p = 2 * stats.t.sf(abs(estimate) / standard_error, degrees_of_freedom)
    return Difference(
        float(estimate),
        float(standard_error),
        float(degrees_of_freedom),
        float(estimate - reach),
        float(estimate + reach),
        float(p),
    )


def corrected_t(
    differences: Sequence[float], test_to_train: float, confidence: float = 0.95
) -> Difference:
    """Nadeau and Bengio's t-test for differences over repeated random splits.

    The variance of the mean is (1/J + n_test/n_train) times the sample variance, since the
    training sets of the splits overlap.

    Args:
        differences: one a split, J at least 2.
        test_to_train: n_test / n_train of a split; 0 gives the ordinary paired t-test.
        confidence: of the interval.

    Returns:
        The mean difference with J - 1 degrees of freedom.

    Raises:
        InputError: there are fewer than two differences.
    """
    values = np.asarray(differences, float)
    if len(values) < 2:
        raise InputError(f"a t-test needs two differences at least, not {len(values)}")
    count = len(values)
    error = np.sqrt((1 / count + test_to_train) * values.var(ddof=1))
    return t_difference(float(values.mean()), float(error), count - 1, confidence)


def exact_mcnemar(only_first: int, only_second: int) -> float:
    """Exact McNemar test of two classifiers on one test set.

    Args:
        only_first: images that only the first gets right.
        only_second: images that only the second gets right.

    Returns:
        The two-sided p-value; 1 when the two never disagree.
    """
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second, 0.5).pvalue)


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


@dataclass(frozen=True)
class AreaComparison:
    """Two areas under the ROC curve on the same images.

    Attributes:
        first: AUROC of the first classifier.
        second: AUROC of the second.
        difference: first minus second, with a normal interval.
    """

    first: float
    second: float
    difference: Difference


def _structural_components(
    positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """The area and its components by positive and by negative image (Sun and Xu 2014, eq. 5-7)."""
    ranks = stats.rankdata(scores)
    ranks_positive = stats.rankdata(scores[positive])
    ranks_negative = stats.rankdata(scores[~positive])
    m, n = int(positive.sum()), int((~positive).sum())
    by_positive = (ranks[positive] - ranks_positive) / n
    by_negative = 1 - (ranks[~positive] - ranks_negative) / m
    return float(by_positive.mean()), by_positive, by_negative


def delong(
    truth: ArrayLike, first: ArrayLike, second: ArrayLike, confidence: float = 0.95
) -> AreaComparison:
    """DeLong's test of two correlated areas under the ROC curve.

    It speaks of these two classifiers as they are, on new images; not of retraining.

    Args:
        truth: N booleans, True for the target class.
        first: N scores of the first classifier.
        second: N scores of the second.
        confidence: of the interval.

    Returns:
        Both areas and their difference.

    Raises:
        InputError: fewer than two images of the target class or of the others.
    """
    positive = np.asarray(truth).astype(bool)
    if min(positive.sum(), (~positive).sum()) < 2:
        raise InputError("DeLong's test needs two images of the target class and two others")
    area_1, positive_1, negative_1 = _structural_components(positive, np.asarray(first, float))
    area_2, positive_2, negative_2 = _structural_components(positive, np.asarray(second, float))
    # A component's spread is computed on the differences: identical scores give exactly 0.
    variance = (positive_1 - positive_2).var(ddof=1) / len(positive_1)
    variance += (negative_1 - negative_2).var(ddof=1) / len(negative_1)
    difference = t_difference(area_1 - area_2, float(np.sqrt(variance)), np.inf, confidence)
    return AreaComparison(area_1, area_2, difference)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    if not len(p_values):
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


@dataclass(frozen=True)
class NonInferiority:
    """Whether something is at most a stated margin worse.

    Attributes:
        shown: whether the one-sided lower bound lies above -margin.
        margin: the margin, stated beforehand.
        bound: the one-sided lower bound of the difference.
        p_value: one-sided, of being worse by the margin or more.
    """

    shown: bool
    margin: float
    bound: float
    p_value: float


def non_inferiority(difference: Difference, margin: float, level: float = 0.05) -> NonInferiority:
    """Tests that a difference is above -margin; a large p of no difference never shows this.

    Args:
        difference: new minus old.
        margin: the largest loss that is accepted, positive.
        level: of the one-sided test.

    Returns:
        The decision and what it rests on.

    Raises:
        InputError: the margin is not positive.
    """
    if margin <= 0:
        raise InputError(f"a margin of non-inferiority is positive, not {margin:g}")
    if difference.standard_error == 0:
        above = difference.estimate > -margin
        return NonInferiority(above, margin, difference.estimate, 0.0 if above else 1.0)
    df = difference.degrees_of_freedom
    bound = difference.estimate - stats.t.ppf(1 - level, df) * difference.standard_error
    p = stats.t.sf((difference.estimate + margin) / difference.standard_error, df)
    return NonInferiority(bool(bound > -margin), margin, float(bound), float(p))
