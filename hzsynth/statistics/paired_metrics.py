"""The metrics of two classifiers on the same photographs: differences, intervals and p-values.

The intervals join those of the two classifiers (MOVER, Zou and Donner 2008, Stat Med 27:1693), so
that they stay within what is possible and stay open where a classifier gets everything, or
nothing, right. The p-values ask what would have been seen had the two classifiers' answers been
exchanged at random, patient by patient: exact for any number of patients, and never below
2 / 2^k when only k patients tell the two apart. For one photograph a patient and accuracy this is
McNemar's exact test. For the AUROC ranks are exchanged (Venkatraman and Begg 1996), and the larger
of that p-value and DeLong's is taken. An interval never leaves 0 out where the test does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hzsynth.core.seeding import numpy_generator
from hzsynth.statistics.answers import Answers, check_same_photographs
from hzsynth.statistics.bootstrap import bootstrap_weights
from hzsynth.statistics.classification import (
    auroc,
    choice_metrics,
    weighted_confusions,
    weighted_metrics,
)
from hzsynth.statistics.intervals import difference_interval
from hzsynth.statistics.metric_intervals import (
    NOT_IDENTIFIABLE,
    SIGNED,
    Metric,
    metrics_with_intervals,
)
from hzsynth.statistics.paired import delong, exact_mcnemar

Floats = NDArray[np.float64]

COMPARED = ("accuracy", "macro_f1", "f1_target", "auroc_target", "kappa")
LEVEL = 0.05
_ALIKE = 1 - 1e-12
_PERMUTATIONS = 2048
"""Exchanges that are drawn; all of them are tried when there are no more than that."""


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
        One entry a metric.

    Raises:
        InputError: the target class does not occur or nothing else does; see
            `answers.check_same_photographs`.
    """
    check_same_photographs(first, second)
    figures = [
        metrics_with_intervals(said, seed=seed, bootstrap=bootstrap) for said in (first, second)
    ]
    correlations = _correlations(first, second, seed, bootstrap)
    generator = numpy_generator(seed, "classify", "comparison", "permutations")
    p_values = _p_of_choices(first, second, generator)
    p_values["auroc_target"] = _p_of_areas(first, second, generator)
    found = []
    for name in COMPARED:
        one, two = figures[0][name], figures[1][name]
        p, test = p_values[name]
        low, high = _interval(name, one, two, correlations[name], p)
        if _equal(name, first, second):
            low = high = None
        found.append(PairedDifference(name, one.value - two.value, low, high, p, test))
    return tuple(found)


def _interval(
    name: str, one: Metric, two: Metric, correlation: float, p: float
) -> tuple[float | None, float | None]:
    if any(metric.method.startswith(NOT_IDENTIFIABLE) for metric in (one, two)):
        reach = 2.0 if name in SIGNED else 1.0
        return -reach, reach
    low, high = difference_interval(
        (one.value, one.low, one.high), (two.value, two.low, two.high), correlation
    )
    return (low, high) if p < LEVEL else (min(low, 0.0), max(high, 0.0))


def _equal(name: str, first: Answers, second: Answers) -> bool:
    """Whether no photograph tells the classifiers apart, as far as the metric looks."""
    if name == "auroc_target":
        return bool(np.array_equal(_ranks(first), _ranks(second)))
    return bool(np.array_equal(first.predicted, second.predicted))


def _correlations(first: Answers, second: Answers, seed: int, bootstrap: int) -> dict[str, float]:
    """How the two classifiers' figures move together over redrawn patients; 0 where one is fixed.

    Estimated from few patients it is uncertain itself, and too large a one would make the interval
    too narrow: it is taken one standard error lower, that of Fisher's z for the smallest class.
    """
    generator = numpy_generator(seed, "classify", "comparison", "bootstrap")
    drawn: dict[str, list[Floats]] = {name: [] for name in COMPARED}
    for weights in bootstrap_weights(first.truth, first.patients, generator, bootstrap):
        one, two = (
            weighted_metrics(said.truth, said.probabilities, said.target, weights)
            for said in (first, second)
        )
        for name in COMPARED:
            drawn[name].append(np.stack([one[name], two[name]]))
    patients = [first.count_patients(first.truth == label) for label in np.unique(first.truth)]
    error = 1 / np.sqrt(max(min(patients) - 1, 1))
    found = {}
    for name, parts in drawn.items():
        pair = np.concatenate(parts, axis=1)
        varies = bool((np.ptp(pair, axis=1) > 1e-9).all())
        estimate = float(stats.pearsonr(*pair).statistic) if varies else 0.0
        found[name] = float(np.tanh(np.arctanh(np.clip(estimate, -_ALIKE, _ALIKE)) - error))
    return found


def smallest_p(patients: int) -> float:
    """The smallest two-sided p-value that so many patients allow, when all speak for one side."""
    return min(1.0, 2.0 ** (1 - patients))


def _exchanges(patients: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which patients' answers are exchanged, one way a row; in the first row none.

    All ways when they are few, else as many random ones.
    """
    if 2**patients <= _PERMUTATIONS:
        ways = np.arange(2**patients)[:, None] >> np.arange(patients)
        return (ways & 1).astype(bool)
    drawn = generator.random((_PERMUTATIONS, patients)) < 0.5
    drawn[0] = False
    return drawn


def _share_as_far(differences: Floats) -> float:
    """Share of the exchanges, the first being what was seen, that are as far from 0 as it is."""
    return float((np.abs(differences) >= abs(differences[0]) - 1e-9).mean())


def _p_of_choices(
    first: Answers, second: Answers, generator: np.random.Generator
) -> dict[str, tuple[float, str]]:
    """P-value and test of each metric of the classes chosen, by exchanging answers by patient."""
    swapped = _swapped(first, first.predicted != second.predicted, generator)
    classes = len(first.labels)
    # A table moves by what the exchanged photographs would have counted.
    moved = weighted_confusions(first.truth, second.predicted, classes, swapped)
    moved -= weighted_confusions(first.truth, first.predicted, classes, swapped)
    one = choice_metrics(first.confusion + moved, first.target)
    two = choice_metrics(second.confusion - moved, first.target)
    found = {}
    for name in one:
        p, test = _share_as_far(one[name] - two[name]), "answers exchanged by patient"
        if name == "accuracy" and not first.several_photographs_a_patient:
            # The same test with all exchanges, however many there are.
            p, test = exact_mcnemar(first.right, second.right), "exact McNemar"
        elif name.endswith("_target"):
            # Photographs of other classes are no further evidence on those of the target.
            p = max(p, smallest_p(first.count_patients(first.is_target)))
        found[name] = p, test
    return found


def _swapped(
    answers: Answers, told_apart: NDArray[np.bool_], generator: np.random.Generator
) -> Floats:
    """Which photographs' answers are exchanged: B x N of 0 and 1, a patient's all together."""
    _, patient = np.unique(np.array(answers.patients), return_inverse=True)
    telling = np.unique(patient[told_apart])
    exchanged = _exchanges(len(telling), generator)
    by_patient = np.zeros((len(exchanged), int(patient.max()) + 1))
    by_patient[:, telling] = exchanged
    return by_patient[:, patient]


def _both_ways(swapped: Floats) -> tuple[Floats, Floats]:
    """Weights of both classifiers' answers, B x 2N: what the first says, and what the second."""
    return (
        np.concatenate([1 - swapped, swapped], axis=1),
        np.concatenate([swapped, 1 - swapped], axis=1),
    )


def _ranks(answers: Answers) -> Floats:
    ranks: Floats = stats.rankdata(answers.score)
    return ranks


def _p_of_areas(
    first: Answers, second: Answers, generator: np.random.Generator
) -> tuple[float, str]:
    """The largest of what exchanged ranks, DeLong, and the patients of the class allow.

    DeLong's variance is 0 where all photographs differ alike, as when one classifier gets all of
    them right and the other none, and takes several photographs of a patient for independent: it
    is then left out.
    """
    positive, ranks = first.is_target, (_ranks(first), _ranks(second))
    swapped = _swapped(first, ranks[0] != ranks[1], generator)
    both, twice = np.concatenate(ranks), np.tile(positive, 2)
    one, two = (auroc(twice, both, weights) for weights in _both_ways(swapped))
    p = max(_share_as_far(one - two), smallest_p(first.count_patients(positive)))
    if first.several_photographs_a_patient or min(positive.sum(), (~positive).sum()) < 2:
        return p, "ranks exchanged by patient"
    difference = delong(positive, first.score, second.score).difference
    if difference.standard_error > 0:
        p = max(p, difference.p_value)
    return p, "DeLong, and ranks exchanged"
