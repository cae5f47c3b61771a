"""The operating point: a threshold that finds a wanted share of the target class.

It is chosen on validation photographs and then applied, unchanged, to the test photographs: a
threshold chosen on the test set would flatter itself. With few positives in validation a high
sensitivity can be met there by chance; what cannot be known is said in `remarks`.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hzsynth.core.errors import InputError
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.classification import confusion_matrix
from hzsynth.statistics.intervals import proportion_interval
from hzsynth.statistics.metric_intervals import Metric, counted_metrics

AT_A_THRESHOLD = (
    "recall_target",
    "specificity_target",
    "precision_target",
    "npv_target",
    "f1_target",
    "accuracy_target",
    "type_1_error",
    "type_2_error",
)


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it does on the test photographs.

    Attributes:
        wanted: sensitivity asked for.
        threshold: a photograph counts as the target class from this probability on.
        validation_sensitivity: share of the validation positives found, with its interval.
        validation_specificity: the same of the other validation photographs.
        confusion: counts on the test photographs, rows are other and target class.
        metrics: names in `AT_A_THRESHOLD` -> figure on the test photographs with its interval.
        remarks: sentences on what is not reached or cannot be known.
    """

    wanted: float
    threshold: float
    validation_sensitivity: Metric
    validation_specificity: Metric
    confusion: tuple[tuple[int, int], tuple[int, int]]
    metrics: Mapping[str, Metric]
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def threshold_for_sensitivity(
    probability: ArrayLike, positive: ArrayLike, sensitivity: float
) -> float:
    """The highest threshold that finds the wanted share of the positives.

    Args:
        probability: N of the target class, in [0, 1].
        positive: N, True where the photograph shows it.
        sensitivity: wanted share, in (0, 1].

    Returns:
        A threshold in [0, 1], midway between the lowest probability that has to be found and the
        next lower one.

    Raises:
        InputError: the sensitivity is not in (0, 1], or one of both kinds is missing.
    """
    if not 0 < sensitivity <= 1:
        raise InputError(f"`sensitivity` is above 0 and at most 1, not {sensitivity:g}")
    values, truth = np.asarray(probability, np.float64), np.asarray(positive, bool)
    if not truth.any() or truth.all():
        raise InputError(
            "an operating point needs validation photographs of the target class and others"
        )
    # 0.95 x 20 is 19.000000000000004 in binary.
    needed = math.ceil(sensitivity * int(truth.sum()) - 1e-9)
    lowest = float(np.sort(values[truth])[::-1][needed - 1])
    below = values[values < lowest]
    return float((lowest + below.max()) / 2) if len(below) else lowest


def _at_threshold(answers: Answers, threshold: float) -> NDArray[np.int64]:
    """Counts, 2 x 2, when the target class is called from this probability on."""
    return confusion_matrix(answers.is_target, answers.score >= threshold, 2)


def operating_point(validation: Answers, test: Answers, sensitivity: float) -> OperatingPoint:
    """Chooses a threshold on validation photographs and applies it to test photographs.

    Args:
        validation: answers that the threshold is chosen on.
        test: answers of the same classifier that it is judged on.
        sensitivity: wanted share of the target class, in (0, 1].

    Returns:
        The threshold, its figures and what is not reachable.

    Raises:
        InputError: see `threshold_for_sensitivity`.
    """
    threshold = threshold_for_sensitivity(validation.score, validation.is_target, sensitivity)
    chosen = _metrics(validation, threshold)
    metrics = _metrics(test, threshold)
    confusion = _at_threshold(test, threshold)
    (kept, called), (missed, found) = confusion.tolist()
    return OperatingPoint(
        wanted=sensitivity,
        threshold=threshold,
        validation_sensitivity=chosen["recall_target"],
        validation_specificity=chosen["specificity_target"],
        confusion=((kept, called), (missed, found)),
        metrics={name: metrics[name] for name in AT_A_THRESHOLD},
        remarks=_remarks(sensitivity, int(validation.is_target.sum()), chosen, metrics, test),
    )


def _metrics(answers: Answers, threshold: float) -> dict[str, Metric]:
    return counted_metrics(
        _at_threshold(answers, threshold), 1, clustered=answers.several_photographs_a_patient
    )


def _remarks(
    wanted: float,
    positives: int,
    chosen: Mapping[str, Metric],
    metrics: Mapping[str, Metric],
    test: Answers,
) -> tuple[str, ...]:
    remarks = []
    provable, _ = proportion_interval(positives, positives)
    if provable < wanted:
        remarks.append(
            f"{positives} validation photographs of the target class cannot prove a sensitivity of "
            f"{wanted:g}: if all were found, the interval would begin at {provable:.2f}."
        )
    if chosen["specificity_target"].value == 0:
        remarks.append(
            "The sensitivity is only reached on validation by calling every photograph the target "
            "class."
        )
    reached = metrics["recall_target"]
    if reached.value < wanted:
        remarks.append(
            f"On the test photographs the threshold finds {reached.value:.2f} "
            f"({reached.low:.2f} to {reached.high:.2f}), less than the {wanted:g} wanted."
        )
    elif reached.low < wanted:
        remarks.append(
            f"The test photographs do not prove the wanted sensitivity: its interval begins at "
            f"{reached.low:.2f}."
        )
    share = float(test.is_target.mean())
    remarks.append(
        f"Positive and negative predictive value hold where {share:.0%} of the photographs show the "
        "target class, as in this test set; where it is rarer, the former is lower."
    )
    return tuple(remarks)
