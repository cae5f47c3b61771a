"""Is one classifier better than another on the same photographs? First minus second, everywhere.

Papers: McNemar 1947 in its exact form; DeLong, DeLong and Clarke-Pearson 1988 with the mid-ranks
of Sun and Xu 2014; Nadeau and Bengio 2003 ("Inference for the generalization error"); Holm 1979.
Standard procedures come from SciPy and statsmodels. For the other metrics a paired bootstrap of
patients by class: against a distribution that does not contain 0 the p-value is that of a normal
distribution of its spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import numpy_generator
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.bootstrap import bootstrap_weights
from hzsynth.statistics.classification import classification_metrics, weighted_metrics

Floats = NDArray[np.float64]

COMPARED = ("accuracy", "macro_f1", "f1_target", "auroc_target", "kappa")


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
        raise InputError("DeLong's test needs two images of either kind")
    area_1, positive_1, negative_1 = _structural_components(positive, np.asarray(first, float))
    area_2, positive_2, negative_2 = _structural_components(positive, np.asarray(second, float))
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


@dataclass(frozen=True)
class PairedDifference:
    """By how much two classifiers differ in a metric on the same photographs.

    Attributes:
        metric: its name.
        value: first minus second.
        low: lower end of the 95 % interval; None where no photograph tells them apart.
        high: upper end; None likewise.
        p: two-sided p-value.
        test: where the p-value comes from.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    p: float
    test: str


def check_same_photographs(first: Answers, second: Answers) -> None:
    """Two answers are compared on the same photographs, classes and target class.

    Raises:
        InputError: they are of others, or in another order.
    """
    if first.images != second.images or first.patients != second.patients:
        raise InputError("a paired comparison needs the same photographs in the same order")
    if first.labels != second.labels or first.label != second.label:
        raise InputError(
            "a paired comparison needs the same classes in the same order and the same target "
            f"class, not {', '.join(first.labels)} ({first.label}) and "
            f"{', '.join(second.labels)} ({second.label})"
        )


def paired_differences(
    first: Answers, second: Answers, *, seed: int = 0, bootstrap: int = 1000
) -> tuple[PairedDifference, ...]:
    """The differences of the metrics in `COMPARED` between two classifiers.

    Args:
        first: what one classifier said.
        second: what the other one said of the same photographs.
        seed: of the bootstrap, which draws whole patients, the same ones for both.
        bootstrap: replicates.

    Returns:
        One entry a metric. The interval is the difference +- 1.96 standard deviations of the
        bootstrap, those times sqrt(k / (k - 1)) with k the patients of the smallest class that
        has two.

    Raises:
        InputError: the target class does not occur or nothing else does; see
            `check_same_photographs`.
    """
    check_same_photographs(first, second)
    values = [
        classification_metrics(said.truth, said.probabilities, said.target)
        for said in (first, second)
    ]
    drawn = _replicated_differences(first, second, seed, bootstrap)
    patients = [first.count_patients(first.truth == label) for label in np.unique(first.truth)]
    k = min((count for count in patients if count > 1), default=2)
    found = []
    for name in COMPARED:
        value = values[0][name] - values[1][name]
        spread = float(drawn[name].std()) * np.sqrt(k / (k - 1))
        told_apart = spread > 1e-12
        half = 1.96 * spread
        p, test = _p_value(name, first, second, value, spread)
        found.append(
            PairedDifference(
                metric=name,
                value=value,
                low=max(value - half, -2.0) if told_apart else None,
                high=min(value + half, 2.0) if told_apart else None,
                p=min(p, 1.0),
                test=test,
            )
        )
    return tuple(found)


def _replicated_differences(
    first: Answers, second: Answers, seed: int, bootstrap: int
) -> dict[str, Floats]:
    generator = numpy_generator(seed, "classify", "comparison", "bootstrap")
    drawn: dict[str, list[Floats]] = {name: [] for name in COMPARED}
    for weights in bootstrap_weights(first.truth, first.patients, generator, bootstrap):
        one, two = (
            weighted_metrics(said.truth, said.probabilities, said.target, weights)
            for said in (first, second)
        )
        for name in COMPARED:
            drawn[name].append(one[name] - two[name])
    return {name: np.concatenate(values) for name, values in drawn.items()}


def _p_value(
    name: str, first: Answers, second: Answers, value: float, spread: float
) -> tuple[float, str]:
    """The p-value of a difference, and the test that it comes from."""
    positive = first.is_target
    if name == "accuracy":
        p, test = exact_mcnemar(first.right, second.right), "exact McNemar"
    elif name == "auroc_target" and min(positive.sum(), (~positive).sum()) > 1:
        p = delong(positive, first.score, second.score).difference.p_value
        test = "DeLong"
    elif spread > 1e-12:
        return 2 * float(stats.norm.sf(abs(value) / spread)), "bootstrap of patients"
    else:
        return 1.0, "bootstrap of patients"
    return p, f"{test}, images as if independent" if first.several_photographs_a_patient else test
