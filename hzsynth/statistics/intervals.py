"""Intervals of metrics on one test set: how far the figure may move with other photographs.

Wilson's score interval (1927) for proportions; for predictive values (precision, NPV), which are
functions of two of them at the test set's mixture of classes, the two intervals joined (MOVER, Donner
and Zou 2012); the Jeffreys beta interval, carried over, for the F1 of a class; for the rest a stratified bootstrap over patients, whose spread is laid
around the figure on the logit scale, since its percentiles cover too little with few positives
(`benchmarks/interval_coverage.py`). Where a bootstrap has no spread because nothing went wrong,
its interval would be a point: the fallbacks for that case are a Dirichlet posterior of the
confusion matrix (Perks's prior), for an AUROC Newcombe's method 5 (2006), which stays open at 1,
and for average precision the binomial interval of Boyd, Eng and Page (2013).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit, logit
from statsmodels.stats.proportion import proportion_confint

Floats = NDArray[np.float64]
Interval = tuple[float, float]


def proportion_interval(successes: float, count: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion such as recall.

    Args:
        successes: hits, in [0, count].
        count: trials; without any the interval is (0, 1).
        confidence: of the two-sided interval.

    Returns:
        Low and high end, in [0, 1].
    """
    if count == 0:
        return 0.0, 1.0
    low, high = proportion_confint(successes, count, alpha=1 - confidence, method="wilson")
    # Rounding leaves 1e-17 where the formula gives exactly 0 or 1.
    return 0.0 if successes == 0 else float(low), 1.0 if successes == count else float(high)


def predictive_value_interval(
    hits: float,
    own: float,
    false: float,
    others: float,
    worth: tuple[float, float] = (1.0, 1.0),
    confidence: float = 0.95,
) -> Interval:
    """Interval of a predictive value such as precision, at a fixed mixture of classes.

    Precision is 1 / (1 + (n / m) f / r), with recall r of m photographs and false-positive rate f of n:
    the interval of the ratio r / f by the method of variance estimates recovery (Donner and Zou 2012,
    Stat Methods Med Res 21:347) from Wilson's of each. Wilson's interval of hits among the chosen would take
    the mixture for chance, too, and cover 98 % where it is given, as in a stratified split.

    Args:
        hits: photographs of the class that were chosen.
        own: m, photographs of the class.
        false: others that were chosen.
        others: n, photographs of other classes.
        worth: how many independent photographs one of the class, and one of the others, is worth.
        confidence: of the two-sided interval.

    Returns:
        Low and high end, in [0, 1]; (0, 1) where nothing was chosen or one kind does not occur.
    """
    if hits + false == 0 or own == 0 or others == 0:
        return 0.0, 1.0
    rates = tuple(
        (count / n, *proportion_interval(count * each, n * each, confidence))
        for count, n, each in ((hits, own, worth[0]), (false, others, worth[1]))
    )
    low = own * _lowest_ratio(rates[0], rates[1])
    high = others * _lowest_ratio(rates[1], rates[0])
    return low / (low + others), own / (own + high)


def _lowest_ratio(over: tuple[float, ...], under: tuple[float, ...]) -> float:
    """The lower end of a ratio of two rates, each given with its interval."""
    (rate, low, _), (other, _, high) = over, under
    # The form without cancellation of (A - sqrt(A^2 - B D)) / D.
    least = low * (2 * rate - low)
    if least <= 0:
        return 0.0
    product = rate * other
    root = math.sqrt(max(product**2 - least * high * (2 * other - high), 0.0))
    return least / (product + root)


def f1_interval(
    true_positives: float, false_positives: float, false_negatives: float, confidence: float = 0.95
) -> Interval:
    """Interval of a class's F1 by the Jeffreys beta construction.

    F1 = 2 J / (1 + J) grows with the Jaccard index J = TP / (TP + FP + FN), a proportion,
    so the ends of its Jeffreys interval carry over.

    Args:
        true_positives: of the class.
        false_positives: of the class.
        false_negatives: of the class.
        confidence: of the two-sided interval.

    Returns:
        Low and high end, in [0, 1]; (0, 1) when the class neither occurs nor is chosen.
    """
    total = true_positives + false_positives + false_negatives
    if total == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    shape = true_positives + 0.5, total - true_positives + 0.5
    # Brown, Cai and DasGupta (2001): an observed 0 or 1 is itself the end on its side.
    low = 0.0 if true_positives == 0 else float(stats.beta.ppf(tail, *shape))
    high = 1.0 if true_positives == total else float(stats.beta.ppf(1 - tail, *shape))
    return 2 * low / (1 + low), 2 * high / (1 + high)


def auroc_interval(
    area: float, positives: int, negatives: int, confidence: float = 0.95
) -> Interval:
    """Newcombe's method 5 for the AUROC: a score interval on the variance of Hanley and McNeil.

    The ends solve |area - A| = z sqrt(V(A)) with V(A) = A (1 - A) (1 + (N - 1) ((1 - A) /
    (2 - A) + A / (1 + A))) / (m n) and N = (m + n) / 2.

    Args:
        area: observed, in [0, 1].
        positives: m, at least 1.
        negatives: n, at least 1.
        confidence: of the two-sided interval.

    Returns:
        Low and high end, in [0, 1].
    """
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    mean = (positives + negatives) / 2

    def excess(true: float) -> float:
        """Squared distance to `true` beyond what its standard error allows."""
        shape = 1 + (mean - 1) * ((1 - true) / (2 - true) + true / (1 + true))
        variance = true * (1 - true) * shape / (positives * negatives)
        return float((area - true) ** 2 - z**2 * variance)

    # At 0 and 1 the variance vanishes: an observed extreme solves the equation by itself, and the
    # end that is meant lies beyond it.
    low = 0.0 if area <= 0 else float(brentq(excess, 0.0, min(area, 1 - 1e-12)))
    high = 1.0 if area >= 1 else float(brentq(excess, max(area, 1e-12), 1.0))
    return low, high


def percentile_interval(replicates: ArrayLike, confidence: float = 0.95) -> Interval:
    """The percentile interval of bootstrap replicates."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.asarray(replicates, np.float64), (tail, 1 - tail))
    return float(low), float(high)


def logit_interval(
    value: float,
    replicates: ArrayLike,
    units: int,
    freedom: int,
    bounds: Interval = (0.0, 1.0),
    confidence: float = 0.95,
) -> Interval:
    """A figure's interval from the spread of its bootstrap, on the logit scale.

    With u = (value - a) / (b - a) the ends are those of logit(u) +- t s / ((b - a) u (1 - u)), s the
    standard deviation of the replicates times sqrt(k / (k - 1)): a bootstrap of k units is by that
    factor too narrow (Efron and Tibshirani, 1993, section 11). t is Student's quantile, since s itself
    is estimated, from few patients badly. The ends stay within the bounds and lie farther towards the middle, where a figure near 1
    may in truth be.

    Args:
        value: the figure, within the bounds.
        replicates: of the bootstrap.
        units: k, the patients drawn in the smallest class, at least 2.
        freedom: degrees of freedom of the spread, at least 1.
        bounds: a and b, the range of the figure.
        confidence: of the two-sided interval.

    Returns:
        Low and high end; a figure at one of its bounds is itself the end on that side, and the
        other end is its percentile.
    """
    low, high = bounds
    share = (value - low) / (high - low)
    if not 0 < share < 1:
        ends = percentile_interval(replicates, confidence)
        return min(ends[0], value), max(ends[1], value)
    spread = float(np.std(np.asarray(replicates, np.float64))) * np.sqrt(units / (units - 1))
    quantile = float(stats.t.ppf(0.5 + confidence / 2, freedom))
    half = quantile * spread / ((high - low) * share * (1 - share))
    ends = expit(np.array([-half, half]) + logit(share))
    return low + (high - low) * float(ends[0]), low + (high - low) * float(ends[1])


def difference_interval(
    first: tuple[float, float, float],
    second: tuple[float, float, float],
    correlation: float = 0.0,
) -> Interval:
    """Interval of a difference from those of its two figures (Zou and Donner 2008).

    The lower end is d - sqrt(a^2 + b^2 - 2 r a b), a being how far the first figure may lie lower, b
    how far the second may lie higher, and r their correlation; the upper end likewise. Of figures
    in [0, 1] it cannot leave [-1, 1].

    Args:
        first: figure, low and high end.
        second: the same of the other one.
        correlation: of the two estimates, in [-1, 1].

    Returns:
        Low and high end of first minus second.
    """
    (one, one_low, one_high), (two, two_low, two_high) = first, second

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a**2 + b**2 - 2 * correlation * a * b))

    difference = one - two
    return (
        difference - reach(one - one_low, two_high - two),
        difference + reach(one_high - one, two - two_low),
    )
