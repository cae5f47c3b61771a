"""Classification metrics as pure functions, for one test set or for many weightings of it at once.

Class choices are judged through the confusion matrix, probabilities through their order. All
agree with scikit-learn on a single test set, also where a class is only predicted; the leading
dimension makes a bootstrap of a thousand replicates a few array operations. Kappa is Cohen's (1960), the Matthews correlation
is Gorodkin's (2004) for several classes, average precision is the step sum without
interpolation.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hzsynth.core.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CHOICE_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "kappa",
    "mcc",
    "f1_target",
    "precision_target",
    "recall_target",
    "specificity_target",
    "npv_target",
    "accuracy_target",
    "type_1_error",
    "type_2_error",
)
ORDER_METRICS = ("auroc", "auroc_target", "average_precision_target")
METRICS = (*CHOICE_METRICS, *ORDER_METRICS)
CLASS_METRICS = ("f1", "precision", "recall")


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, classes: int) -> Integers:
    """Counts of every true class (rows) against every predicted class (columns).

    Args:
        truth: N whole numbers in [0, classes).
        predicted: N whole numbers in [0, classes).
        classes: their number C.

    Returns:
        int64 C x C.
    """
    cells = np.asarray(truth, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def weighted_confusions(
    truth: ArrayLike, predicted: ArrayLike, classes: int, weights: Floats
) -> Floats:
    """The confusion matrix under each of B weightings of the images.

    Args:
        truth: N whole numbers in [0, classes).
        predicted: N whole numbers in [0, classes).
        classes: their number C.
        weights: B x N, not negative.

    Returns:
        float64 B x C x C.
    """
    cells = np.asarray(truth, np.int64) * classes + np.asarray(predicted, np.int64)
    places = np.eye(classes * classes)[cells]
    confusions: Floats = (weights @ places).reshape(-1, classes, classes)
    return confusions


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Numerator / denominator, and 0 where nothing can be divided by."""
    result: Floats = np.divide(
        numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0
    )
    return result


def choice_metrics(confusion: ArrayLike, target: int) -> dict[str, Floats]:
    """The metrics in `CHOICE_METRICS`, which follow from the classes chosen.

    Macro averages run over the classes that occur, be it among the true ones or among the
    chosen ones; the balanced accuracy is the mean recall of the true ones alone (both as
    scikit-learn has it). A precision (or negative predictive value) of a class that is never
    chosen is 0, as are the recall and F1 of a class that is only chosen, and kappa and the
    Matthews correlation when every image gets the same class. `accuracy_target` is the share
    that is right about the target class against the rest; the type I error is the share of the
    rest called the target class, the type II error the share of the target class missed.

    Args:
        confusion: ... x C x C counts or weights, rows are the true classes.
        target: place of the target class.

    Returns:
        Name -> array of the leading shape; errors and proportions in [0, 1], kappa and the
        Matthews correlation in [-1, 1].
    """
    matrix = np.asarray(confusion, np.float64)
    return {**_of_all_classes(matrix), **_against_the_rest(matrix, target)}


def _of_all_classes(matrix: Floats) -> dict[str, Floats]:
    """The part of `choice_metrics` that weighs all classes."""
    total = matrix.sum(axis=(-2, -1))
    actual, chosen = matrix.sum(axis=-1), matrix.sum(axis=-2)
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    true = (actual > 0).astype(np.float64)
    occurring = (actual + chosen > 0).sum(axis=-1).astype(np.float64)
    recall = _ratio(hits, actual)
    right = hits.sum(axis=-1)
    chance = (actual * chosen).sum(axis=-1)
    spread = np.sqrt((total**2 - (actual**2).sum(axis=-1)) * (total**2 - (chosen**2).sum(axis=-1)))
    return {
        "accuracy": _ratio(right, total),
        "balanced_accuracy": _ratio(recall.sum(axis=-1), true.sum(axis=-1)),
        "macro_f1": _ratio(_ratio(2 * hits, actual + chosen).sum(axis=-1), occurring),
        "macro_precision": _ratio(_ratio(hits, chosen).sum(axis=-1), occurring),
        "macro_recall": _ratio(recall.sum(axis=-1), occurring),
        "kappa": _ratio(total * right - chance, total**2 - chance),
        "mcc": _ratio(total * right - chance, spread),
    }


def _against_the_rest(matrix: Floats, target: int) -> dict[str, Floats]:
    """The part of `choice_metrics` that tells the target class from the rest."""
    total = matrix.sum(axis=(-2, -1))
    actual, chosen = matrix.sum(axis=-1)[..., target], matrix.sum(axis=-2)[..., target]
    true_positive = matrix[..., target, target]
    false_negative, false_positive = actual - true_positive, chosen - true_positive
    true_negative = total - true_positive - false_negative - false_positive
    return {
        "f1_target": _ratio(2 * true_positive, actual + chosen),
        "precision_target": _ratio(true_positive, chosen),
        "recall_target": _ratio(true_positive, actual),
        "specificity_target": _ratio(true_negative, true_negative + false_positive),
        "npv_target": _ratio(true_negative, true_negative + false_negative),
        "accuracy_target": _ratio(true_positive + true_negative, total),
        "type_1_error": _ratio(false_positive, true_negative + false_positive),
        "type_2_error": _ratio(false_negative, actual),
    }


def proportions(confusion: ArrayLike, target: int) -> Mapping[str, tuple[int, int]]:
    """The metrics that are proportions, as successes and trials.

    Args:
        confusion: C x C counts, rows are the true classes.
        target: place of the target class.

    Returns:
        Name -> (successes, trials).
    """
    counts = np.asarray(confusion)
    total = int(counts.sum())
    hits = int(counts[target, target])
    positives, called = int(counts[target].sum()), int(counts[:, target].sum())
    negatives = total - positives
    rejected = negatives - (called - hits)
    return {
        "accuracy": (int(np.trace(counts)), total),
        "accuracy_target": (hits + rejected, total),
        "precision_target": (hits, called),
        "recall_target": (hits, positives),
        "specificity_target": (rejected, negatives),
        "npv_target": (rejected, total - called),
        "type_1_error": (called - hits, negatives),
        "type_2_error": (positives - hits, positives),
    }


def weights_by_threshold(
    positive: NDArray[np.bool_], score: ArrayLike, weights: Floats
) -> tuple[Floats, Floats]:
    """Weight of positives and of negatives at each of T distinct scores, from the highest down.

    Args:
        positive: N booleans.
        score: N values.
        weights: B x N, not negative.

    Returns:
        B x T of the positives and B x T of the negatives.
    """
    scores = np.asarray(score, np.float64)
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    sorted_weights, sorted_positive = weights[:, order], positive[order]
    positives = sorted_weights * sorted_positive
    negatives = sorted_weights - positives
    if len(starts) == len(scores):
        return positives, negatives
    return (
        np.add.reduceat(positives, starts, axis=1),
        np.add.reduceat(negatives, starts, axis=1),
    )


def _two_kinds(positive: ArrayLike, weights: Floats | None) -> tuple[NDArray[np.bool_], Floats]:
    truth = np.asarray(positive, bool)
    if not truth.any() or truth.all():
        raise InputError("a ranking can only be judged with images of the class and others")
    return truth, np.ones((1, len(truth))) if weights is None else weights


def auroc(positive: ArrayLike, score: ArrayLike, weights: Floats | None = None) -> Floats:
    """Area under the receiver operating characteristic, ties counted half.

    Args:
        positive: N booleans.
        score: N values, higher means more likely positive.
        weights: B x N, not negative, some of it on either kind; None for one equal weighting.

    Returns:
        B values in [0, 1].

    Raises:
        InputError: only one kind of image occurs.
    """
    truth, weights = _two_kinds(positive, weights)
    positives, negatives = weights_by_threshold(truth, score, weights)
    below = negatives.sum(axis=1, keepdims=True) - negatives.cumsum(axis=1)
    won = (positives * (below + negatives / 2)).sum(axis=1)
    area: Floats = won / (positives.sum(axis=1) * negatives.sum(axis=1))
    return area


def average_precision(
    positive: ArrayLike, score: ArrayLike, weights: Floats | None = None
) -> Floats:
    """Sum over thresholds of (R_k - R_{k-1}) P_k, images of equal score taken together.

    Args:
        positive: N booleans.
        score: N values, higher means more likely positive.
        weights: B x N, not negative, some of it on either kind; None for one equal weighting.

    Returns:
        B values in [0, 1].

    Raises:
        InputError: only one kind of image occurs.
    """
    truth, weights = _two_kinds(positive, weights)
    positives, negatives = weights_by_threshold(truth, score, weights)
    found = positives.cumsum(axis=1)
    precision = _ratio(found, found + negatives.cumsum(axis=1))
    result: Floats = (positives * precision).sum(axis=1) / found[:, -1]
    return result


def macro_auroc(
    truth: ArrayLike, probabilities: ArrayLike, weights: Floats | None = None
) -> Floats:
    """Mean over the classes that occur of the area of that class against the rest.

    Args:
        truth: N whole numbers in [0, C).
        probabilities: N x C.
        weights: B x N, some of it on every class that occurs; None for one equal weighting.

    Returns:
        B values in [0, 1].

    Raises:
        InputError: only one class occurs.
    """
    classes, scores = np.asarray(truth), np.asarray(probabilities, np.float64)
    areas = [auroc(classes == c, scores[:, c], weights) for c in np.unique(classes)]
    mean: Floats = np.mean(areas, axis=0)
    return mean


def order_metrics(
    truth: ArrayLike, probabilities: ArrayLike, target: int, weights: Floats | None = None
) -> dict[str, Floats]:
    """The metrics in `ORDER_METRICS`, which follow from the order of the probabilities.

    Args:
        truth: N whole numbers in [0, C).
        probabilities: N x C.
        target: place of the target class.
        weights: B x N; None for one equal weighting.

    Returns:
        Name -> B values in [0, 1].

    Raises:
        InputError: the target class does not occur, or nothing else does.
    """
    positive = np.asarray(truth) == target
    score = np.asarray(probabilities, np.float64)[:, target]
    return {
        "auroc": macro_auroc(truth, probabilities, weights),
        "auroc_target": auroc(positive, score, weights),
        "average_precision_target": average_precision(positive, score, weights),
    }


def weighted_metrics(
    truth: ArrayLike, probabilities: ArrayLike, target: int, weights: Floats
) -> dict[str, Floats]:
    """All `METRICS` under each of B weightings of the images; the class chosen is the likeliest.

    Args:
        truth: N whole numbers in [0, C).
        probabilities: N x C.
        target: place of the target class.
        weights: B x N, not negative, some of it on every class that occurs.

    Returns:
        Name -> B values.

    Raises:
        InputError: the target class does not occur, or nothing else does.
    """
    table = np.asarray(probabilities, np.float64)
    confusions = weighted_confusions(truth, table.argmax(axis=1), table.shape[1], weights)
    return {**choice_metrics(confusions, target), **order_metrics(truth, table, target, weights)}


def classification_metrics(
    truth: ArrayLike, probabilities: ArrayLike, target: int
) -> Mapping[str, float]:
    """All `METRICS` of one classifier on one test set; the class chosen is the likeliest.

    Args:
        truth: N whole numbers in [0, C).
        probabilities: N x C, every row sums to 1.
        target: place of the target class.

    Returns:
        Name -> value.

    Raises:
        InputError: the target class does not occur, or nothing else does; or a probability is
            no number.
    """
    table = np.asarray(probabilities, np.float64)
    if not np.isfinite(table).all():
        raise InputError("a classifier gave a probability that is no number")
    confusion = confusion_matrix(truth, table.argmax(axis=1), table.shape[1])
    ranked = order_metrics(truth, table, target)
    values = {name: float(v) for name, v in choice_metrics(confusion, target).items()}
    return values | {name: float(v[0]) for name, v in ranked.items()}
