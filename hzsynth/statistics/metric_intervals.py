"""All metrics of one test set with 95 % intervals, and why an interval cannot be had.

Proportions take Wilson's interval, predictive values two of them joined, and F1 the Jeffreys beta
construction (see `intervals`), with several photographs a patient on the number of independent photographs that they are worth; the
rest takes the spread of a bootstrap of patients by class, on the logit scale. A metric that
weighs a class by itself says nothing about other photographs when that class has fewer than
`FEWEST_PATIENTS` in the test set: its interval is the whole range, and its method says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hzsynth.core.seeding import numpy_generator
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.bootstrap import dirichlet_confusions, replicated_metrics
from hzsynth.statistics.classification import (
    CLASS_METRICS,
    METRICS,
    choice_metrics,
    classification_metrics,
    proportions,
)
from hzsynth.statistics.intervals import (
    Interval,
    auroc_interval,
    f1_interval,
    logit_interval,
    percentile_interval,
    predictive_value_interval,
    proportion_interval,
)

NOT_IDENTIFIABLE = "not identifiable"
"""What the method of an interval begins with where the figure says nothing of other photographs."""

FEWEST_PATIENTS = 4
"""Patients of a class below which a spread over patients cannot be estimated: with three, the 95 %
quantile of t with two degrees of freedom is 4.3, three times the normal one."""

SIGNED = ("kappa", "mcc")
"""Metrics whose range is -1 to 1."""

_OF_EVERY_CLASS = (
    "balanced_accuracy",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "auroc",
)
_PREDICTIVE = {
    "precision_target": ("recall_target", "type_1_error"),
    "npv_target": ("specificity_target", "type_2_error"),
}
"""Predictive values: the rate among the photographs meant, and that among the others."""

_OF_THE_TARGET = ("auroc_target", "average_precision_target")


@dataclass(frozen=True)
class Metric:
    """A figure with its 95 % interval.

    Attributes:
        value: the figure.
        low: lower end.
        high: upper end.
        method: how the interval was made.
    """

    value: float
    low: float
    high: float
    method: str


def metrics_with_intervals(
    answers: Answers, *, seed: int = 0, bootstrap: int = 1000
) -> dict[str, Metric]:
    """All metrics of one classifier on one test set with 95 % intervals.

    Args:
        answers: what it said; the bootstrap draws whole patients.
        seed: of the bootstrap.
        bootstrap: replicates.

    Returns:
        Name -> figure with interval, in the order of `classification.METRICS`.

    Raises:
        InputError: the target class does not occur or nothing else does.
    """
    values = classification_metrics(answers.truth, answers.probabilities, answers.target)
    generator = numpy_generator(seed, "classify", "evaluation", "bootstrap")
    drawn = replicated_metrics(answers, generator, bootstrap)
    worth = _worth(answers, drawn) if answers.several_photographs_a_patient else None
    found = counted_metrics(answers.confusion, answers.target, worth=worth)
    for name in METRICS:
        if name in found:
            continue
        ends, method = _spread(name, values[name], drawn[name], answers, (seed, bootstrap))
        found[name] = Metric(values[name], *ends, method)
    return {name: found[name] for name in METRICS}


def _spread(
    name: str,
    value: float,
    drawn: NDArray[np.float64],
    answers: Answers,
    draws: tuple[int, int],
) -> tuple[Interval, str]:
    """The interval from the replicates, or why there is none."""
    seed, bootstrap = draws
    unit = "patients" if answers.several_photographs_a_patient else "images"
    bounds = (-1.0 if name in SIGNED else 0.0, 1.0)
    fewest = _fewest(name, answers)
    if fewest < FEWEST_PATIENTS:
        return bounds, f"{NOT_IDENTIFIABLE}: a class has fewer than {FEWEST_PATIENTS} test {unit}"
    # Rounding is no spread.
    if np.ptp(drawn) < 1e-9:
        return _without_spread(name, value, answers, seed, bootstrap)
    ends = logit_interval(value, drawn, fewest, _freedom(name, fewest, answers), bounds)
    return ends, f"logit, bootstrap of {unit} by class, {bootstrap} replicates"


def class_metrics_with_intervals(answers: Answers) -> dict[str, Mapping[str, Metric]]:
    """F1, precision and recall of every class that occurs, with 95 % intervals.

    Where patients have several photographs the methods say that these are taken as independent.

    Returns:
        Class -> ``f1``, ``precision``, ``recall`` -> figure with interval.
    """
    table: dict[str, Mapping[str, Metric]] = {}
    confusion, clustered = answers.confusion, answers.several_photographs_a_patient
    for place, label in enumerate(answers.labels):
        if confusion[place].sum():
            found = counted_metrics(confusion, place, clustered=clustered)
            table[label] = {name: found[f"{name}_target"] for name in CLASS_METRICS}
    return table


@dataclass(frozen=True)
class _Counts:
    """Successes and trials of the counted metrics, and how many independent images one is worth."""

    pairs: Mapping[str, tuple[int, int]]
    worth: Mapping[str, float] | None
    clustered: bool

    def worth_of(self, name: str) -> float:
        return 1.0 if self.worth is None else self.worth[name]

    def scaled(self, name: str) -> tuple[float, float]:
        """Successes and trials, as many as they are worth."""
        successes, n = self.pairs[name]
        return successes * self.worth_of(name), n * self.worth_of(name)

    def method(self, way: str, *names: str) -> str:
        """How an interval was made, and of how many images."""
        text = f"{way}, n = {' + '.join(str(self.pairs[name][1]) for name in names)}"
        if self.worth is not None:
            each = " + ".join(f"{self.scaled(name)[1]:.1f}" for name in names)
            return f"{text}, worth {each} independent images"
        return f"{text}, images as if independent" if self.clustered else text

    def interval(self, name: str) -> tuple[Interval, str]:
        """The interval of a metric and how it was made."""
        if name in _PREDICTIVE:
            right, wrong = _PREDICTIVE[name]
            both = self.worth_of(right), self.worth_of(wrong)
            ends = predictive_value_interval(*self.pairs[right], *self.pairs[wrong], both)
            return ends, self.method("MOVER of two Wilson intervals", right, wrong)
        successes, n = self.scaled(name)
        if name == "f1_target":
            ends = f1_interval(successes, n - successes, 0)
            return ends, self.method("Jeffreys, Jaccard index", name)
        return proportion_interval(successes, n), self.method("Wilson", name)


def counted_metrics(
    confusion: NDArray[np.int64],
    target: int,
    *,
    clustered: bool = False,
    worth: Mapping[str, float] | None = None,
) -> dict[str, Metric]:
    """The metrics whose 95 % intervals follow from counts alone: proportions and F1.

    Args:
        confusion: C x C counts, rows are the true classes.
        target: number of the target class.
        clustered: whether patients have several images; without `worth` the methods then say
            that the images are taken as independent, for which the intervals are too narrow.
        worth: name -> how many independent images one is worth, in (0, 1]; None: 1.

    Returns:
        Name -> figure with interval.
    """
    values = choice_metrics(confusion, target)
    hits = int(confusion[target, target])
    union = int(confusion[target].sum() + confusion[:, target].sum()) - hits
    pairs = {**proportions(confusion, target), "f1_target": (hits, union)}
    counts = _Counts(pairs, worth, clustered)
    found = {}
    for name in pairs:
        ends, method = counts.interval(name)
        found[name] = Metric(float(values[name]), *ends, method)
    return found


def _worth(answers: Answers, drawn: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """How many independent images one image is worth for each counted metric (Kish, 1965).

    The inverse design effect: the binomial variance over that of the bootstrap of patients. Where
    nothing varies, a patient counts as one image.
    """
    actual, called = answers.is_target, answers.called_target
    everyone = np.ones(len(actual), bool)
    counted = {
        "accuracy": everyone,
        "accuracy_target": everyone,
        "recall_target": actual,
        "specificity_target": ~actual,
        "type_1_error": ~actual,
        "type_2_error": actual,
        "f1_target": actual | called,
    }
    worth = {}
    for name, images in counted.items():
        replicates, n, k = drawn[name], int(images.sum()), answers.count_patients(images)
        if name == "f1_target":
            replicates = replicates / (2 - replicates)
        share = float(replicates.mean())
        spread = float(replicates.var()) * k / max(k - 1, 1)
        even = share * (1 - share) / max(n, 1)
        worth[name] = min(1.0, even / spread) if spread > 1e-12 and k > 1 else k / max(n, 1)
    return worth


def _fewest(name: str, answers: Answers) -> int:
    """The patients that the metric's spread rests on: of the rarest class that it weighs."""
    if name in _OF_THE_TARGET:
        positive = answers.is_target
        return min(answers.count_patients(positive), answers.count_patients(~positive))
    each = [answers.count_patients(answers.truth == c) for c in np.unique(answers.truth)]
    if name in _OF_EVERY_CLASS:
        return min(each)
    # Kappa and the Matthews correlation weigh images: two classes with a spread suffice.
    return sorted(each)[-2]


def _freedom(name: str, fewest: int, answers: Answers) -> int:
    """Degrees of freedom of a bootstrap's spread.

    The target's AUROC and average precision hang on the few patients of one class: as a comparison of
    two samples of that size. The others mix all classes: patients less classes.
    """
    if name in _OF_THE_TARGET:
        return 2 * (fewest - 1)
    classes = np.unique(answers.truth)
    return max(1, sum(answers.count_patients(answers.truth == c) - 1 for c in classes))


def _without_spread(
    name: str, value: float, answers: Answers, seed: int, bootstrap: int
) -> tuple[Interval, str]:
    """The interval where every bootstrap replicate is the same, as when nothing went wrong."""
    counts = np.bincount(answers.truth, minlength=len(answers.labels))
    n, positives = len(answers.truth), int(counts[answers.target])
    if name == "average_precision_target":
        ends = proportion_interval(value * positives, positives)
        return ends, f"binomial, {positives} positives (bootstrap without spread)"
    if name in ("auroc", "auroc_target"):
        sizes = [positives] if name == "auroc_target" else counts[counts > 0].tolist()
        every = [auroc_interval(value, size, n - size) for size in sizes]
        low, high = np.mean(every, axis=0)
        return (float(low), float(high)), "Newcombe, method 5 (bootstrap without spread)"
    generator = numpy_generator(seed, "classify", "evaluation", "posterior")
    drawn = dirichlet_confusions(answers.confusion, generator, bootstrap)
    low, high = percentile_interval(choice_metrics(drawn, answers.target)[name])
    # An interval of plausible values may end short of an observed extreme.
    ends = min(low, value), max(high, value)
    return ends, "Dirichlet posterior (bootstrap without spread)"
