"""Is one classifier better than another on the same photographs? Paired tests and intervals.

McNemar's exact test for accuracy, DeLong's test for the AUROC (DeLong, DeLong, Clarke-Pearson,
1988, by the mid-ranks of Sun and Xu, 2014), a paired bootstrap of patients by class for every
metric, Holm's correction (1979) over the runs. Against a bootstrap distribution that does not
contain 0 the p-value is that of a normal distribution of its spread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import numpy_generator
from hzsynth.statistics.classification import (
    choice_metrics,
    classification_metrics,
    order_metrics,
    weighted_confusions,
)
from hzsynth.statistics.intervals import bootstrap_weights

Floats = NDArray[np.float64]

COMPARED = ("accuracy", "macro_f1", "f1_target", "auroc_target", "kappa")


@dataclass(frozen=True)
class PairedDifference:
    """By how much one classifier's metric differs from the first one's.

    Attributes:
        metric: its name.
        value: other minus first.
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


def exact_mcnemar(first_right: ArrayLike, other_right: ArrayLike) -> float:
    """Two-sided p-value of the exact test on the images that only one of two gets right.

    Args:
        first_right: N booleans.
        other_right: N booleans, of the same images.

    Returns:
        The p-value; 1 when they agree on every image.
    """
    first, other = np.asarray(first_right, bool), np.asarray(other_right, bool)
    only_first, only_other = int((first & ~other).sum()), int((~first & other).sum())
    discordant = only_first + only_other
    return float(stats.binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0


def _placements(positive: NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """For each positive the share of negatives below it, for each negative that of positives above.

    By mid-ranks: the rank among all minus the rank among one's own kind counts the others below.
    """
    everyone = stats.rankdata(score)
    m, n = int(positive.sum()), int((~positive).sum())
    above = (everyone[positive] - stats.rankdata(score[positive])) / n
    below = 1 - (everyone[~positive] - stats.rankdata(score[~positive])) / m
    return above, below


def delong(positive: ArrayLike, first: ArrayLike, other: ArrayLike) -> tuple[float, float, float]:
    """DeLong's test of two correlated areas under the ROC curve.

    Args:
        positive: N booleans; at least two of either kind.
        first: N scores of one classifier.
        other: N scores of another, of the same images.

    Returns:
        Other area minus first, its standard error, and the two-sided p-value (1 when the two order
        all images alike).

    Raises:
        InputError: there are fewer than two images of one kind.
    """
    truth = np.asarray(positive, bool)
    m, n = int(truth.sum()), int((~truth).sum())
    if min(m, n) < 2:
        raise InputError(f"DeLong's test needs two images of either kind, not {m} and {n}")
    placed = [_placements(truth, np.asarray(score, np.float64)) for score in (first, other)]
    (first_above, first_below), (other_above, other_below) = placed
    above, below = other_above - first_above, other_below - first_below
    difference = float(above.mean())
    error = float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n))
    if error < 1e-12:
        return difference, 0.0, 1.0 if abs(difference) < 1e-12 else 0.0
    return difference, error, float(2 * stats.norm.sf(abs(difference) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment; none for an empty list."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(list(p_values), method="holm")[1]]


def _both(
    truth: NDArray[np.int64],
    answers: Sequence[Floats],
    target: int,
    weights: Floats,
) -> list[Mapping[str, Floats]]:
    classes = answers[0].shape[1]
    return [
        {
            **choice_metrics(
                weighted_confusions(truth, table.argmax(axis=1), classes, weights), target
            ),
            **order_metrics(truth, table, target, weights),
        }
        for table in answers
    ]


def paired_differences(
    truth: NDArray[np.int64],
    first: Floats,
    other: Floats,
    target: int,
    groups: Sequence[str],
    *,
    seed: int = 0,
    bootstrap: int = 1000,
) -> tuple[PairedDifference, ...]:
    """The differences of the metrics in `COMPARED` between two classifiers.

    Args:
        truth: N class numbers.
        first: N x C probabilities of the classifier compared with.
        other: N x C of the other one, of the same images and classes.
        target: number of the target class.
        groups: N patients; the bootstrap draws whole patients, the same ones for both.
        seed: of the bootstrap.
        bootstrap: replicates.

    Returns:
        One entry a metric. The interval is the difference +- 1.96 standard deviations of the
        bootstrap, those times sqrt(k / (k - 1)) with k the patients of the smallest class that
        has two.

    Raises:
        InputError: the target class does not occur or nothing else does.
    """
    values = [classification_metrics(truth, table, target) for table in (first, other)]
    generator = numpy_generator(seed, "classify", "comparison", "bootstrap")
    drawn: dict[str, list[Floats]] = {name: [] for name in COMPARED}
    for weights in bootstrap_weights(truth, groups, generator, bootstrap):
        one, two = _both(truth, (first, other), target, weights)
        for name in COMPARED:
            drawn[name].append(two[name] - one[name])
    patients = [len({g for g, t in zip(groups, truth, strict=True) if t == c}) for c in set(truth)]
    k = min((count for count in patients if count > 1), default=2)
    positive = truth == target
    found = []
    for name in COMPARED:
        value = values[1][name] - values[0][name]
        spread = float(np.concatenate(drawn[name]).std()) * np.sqrt(k / (k - 1))
        told_apart = spread > 1e-12
        half = 1.96 * spread
        p, test = (2 * float(stats.norm.sf(abs(value) / spread)) if told_apart else 1.0), ""
        if name == "accuracy":
            right = [table.argmax(axis=1) == truth for table in (first, other)]
            p, test = exact_mcnemar(*right), "exact McNemar"
        elif name == "auroc_target" and min(positive.sum(), (~positive).sum()) > 1:
            p, test = delong(positive, first[:, target], other[:, target])[2], "DeLong"
        if test and len(set(groups)) < len(truth):
            test += ", images as if independent"
        found.append(
            PairedDifference(
                metric=name,
                value=value,
                low=max(value - half, -2.0) if told_apart else None,
                high=min(value + half, 2.0) if told_apart else None,
                p=min(p, 1.0),
                test=test or "bootstrap of patients",
            )
        )
    return tuple(found)
