"""Classification metrics of true classes and predicted probabilities, by scikit-learn.

Metrics that end in ``_target`` are of the target class against the rest; the others are
macro averages over the classes. The prediction is the likeliest class.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    f1_score,
    matthews_corrcoef,
    roc_auc_score,
)

Truth = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def confusion_matrix(truth: Truth, predicted: Truth, classes: int) -> NDArray[np.int64]:
    """Counts of true (rows) against predicted classes (columns), C x C."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def _macro(confusion: NDArray[np.int64], axis: int) -> float:
    """Mean over the classes of the diagonal divided by its row (1) or column (0) sums."""
    totals = confusion.sum(axis=axis)
    return float(np.mean(np.diag(confusion) / np.maximum(totals, 1)))


def _macro_auroc(truth: Truth, probabilities: Probabilities) -> float:
    """Mean over the classes that occur of one-against-rest AUROC; nan when none can be computed."""
    values = [
        roc_auc_score(truth == c, probabilities[:, c])
        for c in range(probabilities.shape[1])
        if 0 < (truth == c).sum() < len(truth)
    ]
    return float(np.mean(values)) if values else float("nan")


def score_metrics(truth: Truth, probabilities: Probabilities, target: int) -> Mapping[str, float]:
    """The metrics that are no plain proportion, and so need a bootstrap interval.

    Args:
        truth: N class numbers.
        probabilities: N x C, rows sum to 1.
        target: number of the target class.

    Returns:
        Name -> value in [0, 1] (kappa and mcc in [-1, 1]); nan where only one class occurs.
    """
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(truth, predicted, classes)
    is_target = truth == target
    both = 0 < is_target.sum() < len(truth)
    values: dict[str, Callable[[], float]] = {
        "macro_f1": lambda: f1_score(
            truth, predicted, labels=range(classes), average="macro", zero_division=0
        ),
        "macro_precision": lambda: _macro(confusion, 0),
        "macro_recall": lambda: _macro(confusion, 1),
        "auroc": lambda: _macro_auroc(truth, probabilities),
        "kappa": lambda: cohen_kappa_score(truth, predicted),
        "mcc": lambda: matthews_corrcoef(truth, predicted),
        "auroc_target": lambda: (
            roc_auc_score(is_target, probabilities[:, target]) if both else float("nan")
        ),
        "average_precision_target": lambda: (
            average_precision_score(is_target, probabilities[:, target]) if both else float("nan")
        ),
    }
    with warnings.catch_warnings():
        # A resample may hold one class only; its undefined metric is nan and left out.
        warnings.simplefilter("ignore")
        return {name: float(compute()) for name, compute in values.items()}


def proportions(confusion: NDArray[np.int64], target: int) -> Mapping[str, tuple[int, int]]:
    """The metrics that are proportions, as successes and trials.

    Args:
        confusion: C x C, rows are the true classes.
        target: number of the target class.

    Returns:
        Name -> (successes, trials).
    """
    total = int(confusion.sum())
    hits = int(confusion[target, target])
    positives, called = int(confusion[target].sum()), int(confusion[:, target].sum())
    negatives = total - positives
    rejected = negatives - (called - hits)
    return {
        "accuracy": (int(np.trace(confusion)), total),
        "accuracy_target": (hits + rejected, total),
        "precision_target": (hits, called),
        "recall_target": (hits, positives),
        "specificity_target": (rejected, negatives),
        "npv_target": (rejected, total - called),
        "type_1_error": (called - hits, negatives),
        "type_2_error": (positives - hits, positives),
    }
