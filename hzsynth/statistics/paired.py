"""Is one classifier better than another on the same photographs? First minus second, everywhere.

Papers: McNemar 1947 in its exact form; DeLong, DeLong and Clarke-Pearson 1988 with the mid-ranks
of Sun and Xu 2014; Nadeau and Bengio 2003 ("Inference for the generalization error"); Holm 1979.
Standard procedures come from SciPy and statsmodels. Where nothing varies, nothing is proven: a
difference without spread has an interval without ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from hzsynth.core.errors import InputError

Floats = NDArray[np.float64]


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

    Without any spread (standard error 0) nothing is known of the error: the interval has no ends
    and p is 1.
    """
    if standard_error == 0:
        return Difference(estimate, 0.0, degrees_of_freedom, -np.inf, np.inf, 1.0)
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


def exact_mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> float:
    """Two-sided p-value of the exact test on the images that only one of two gets right.

    Args:
        first_right: N booleans.
        second_right: N booleans, of the same images.

    Returns:
        The p-value; 1 when they agree on every image.
    """
    first, second = np.asarray(first_right, bool), np.asarray(second_right, bool)
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    discordant = only_first + only_second
    return float(stats.binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0


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


def _placements(positive: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """The area's components by positive and by negative image (Sun and Xu 2014, eq. 5-7).

    Args:
        positive: N booleans; both kinds occur.
        scores: N values, higher means more likely positive.

    Returns:
        For each positive the share of negatives below it, for each negative the share of
        positives above it; ties count half. Both have the area under the ROC curve as mean.
    """
    truth, values = np.asarray(positive, bool), np.asarray(scores, np.float64)
    ranks = stats.rankdata(values)
    m, n = int(truth.sum()), int((~truth).sum())
    by_positive = (ranks[truth] - stats.rankdata(values[truth])) / n
    by_negative = 1 - (ranks[~truth] - stats.rankdata(values[~truth])) / m
    return by_positive, by_negative


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
        raise InputError("DeLong's test needs two images of either kind")
    positive_1, negative_1 = _placements(positive, first)
    positive_2, negative_2 = _placements(positive, second)
    area_1, area_2 = float(positive_1.mean()), float(positive_2.mean())
    # A component's spread is computed on the differences: identical scores give exactly 0.
    variance = (positive_1 - positive_2).var(ddof=1) / len(positive_1)
    variance += (negative_1 - negative_2).var(ddof=1) / len(negative_1)
    error = float(np.sqrt(variance))
    # Rounding is no spread.
    error = 0.0 if error < 1e-12 else error
    difference = t_difference(area_1 - area_2, error, np.inf, confidence)
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
        The decision and what it rests on; without any spread nothing is shown.

    Raises:
        InputError: the margin is not positive.
    """
    if margin <= 0:
        raise InputError(f"a margin of non-inferiority is positive, not {margin:g}")
    if difference.standard_error == 0:
        return NonInferiority(False, margin, -np.inf, 1.0)
    df = difference.degrees_of_freedom
    bound = difference.estimate - stats.t.ppf(1 - level, df) * difference.standard_error
    p = stats.t.sf((difference.estimate + margin) / difference.standard_error, df)
    return NonInferiority(bool(bound > -margin), margin, float(bound), float(p))
