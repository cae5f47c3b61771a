"""Confidence intervals that hold for few images.

Proportions get the Wilson score interval; F1 of one class the Jeffreys interval of its Jaccard
index, since a percentile bootstrap covers too little with some fifteen positives; all
other metrics a bootstrap that is stratified by class.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint


def proportion_interval(
    successes: int,
    count: int,
    confidence: float = 0.95,
    method: Literal["wilson", "jeffreys"] = "wilson",
) -> tuple[float, float]:
    """Interval of a proportion such as recall.

    Args:
        successes: hits.
        count: trials; 0 gives (0, 1).
        confidence: of the interval.
        method: ``wilson`` (score) or ``jeffreys`` (beta).

    Returns:
        Low and high end, in [0, 1].
    """
    if count == 0:
        return 0.0, 1.0
    low, high = proportion_confint(successes, count, alpha=1 - confidence, method=method)
    return float(low), float(high)


def f1_interval(
    true_positives: int, false_positives: int, false_negatives: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of F1 from the Jeffreys interval of TP / (TP + FP + FN).

    F1 = 2 J / (1 + J) grows with that proportion J (the Jaccard index), so the ends carry
    over.

    Args:
        true_positives: of the class.
        false_positives: of the class.
        false_negatives: of the class.
        confidence: of the interval.

    Returns:
        Low and high end, in [0, 1].
    """
    total = true_positives + false_positives + false_negatives
    low, high = proportion_interval(true_positives, total, confidence, "jeffreys")
    return 2 * low / (1 + low), 2 * high / (1 + high)


def stratified_bootstrap(
    strata: NDArray[np.int64],
    statistics: Callable[[NDArray[np.int64]], Mapping[str, float]],
    rng: np.random.Generator,
    replicates: int = 1000,
    confidence: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of several statistics at once; every class keeps its number.

    Args:
        strata: N class numbers.
        statistics: resampled row numbers -> name -> value; nan values are left out.
        rng: source of the resamples.
        replicates: number of resamples.
        confidence: of the intervals.

    Returns:
        Name -> low and high end; nan where no resample gave a number.
    """
    members = [np.flatnonzero(strata == c) for c in np.unique(strata)]
    drawn: dict[str, list[float]] = {}
    for _ in range(replicates):
        rows = np.concatenate([rng.choice(part, len(part)) for part in members])
        for name, value in statistics(rows).items():
            drawn.setdefault(name, []).append(value)
    tail = (1 - confidence) / 2
    ends = {}
    for name, values in drawn.items():
        numbers = np.asarray(values)[np.isfinite(values)]
        if len(numbers) == 0:
            ends[name] = (float("nan"), float("nan"))
            continue
        low, high = np.quantile(numbers, [tail, 1 - tail])
        ends[name] = (float(low), float(high))
    return ends
