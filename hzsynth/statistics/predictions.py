"""What a trained classifier said of each real image, and the scores of the target class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from hzsynth.core.errors import InputError
from hzsynth.statistics.intervals import f1_interval, proportion_interval

METRICS = ("average_precision", "auroc", "f1", "recall", "precision", "specificity", "accuracy")
METRIC_NAMES: Mapping[str, str] = {
    "average_precision": "average precision",
    "auroc": "AUROC",
    "f1": "F1 of the target class",
    "recall": "recall",
    "precision": "precision",
    "specificity": "specificity",
    "accuracy": "accuracy",
}
_COLUMNS = ("image", "group", "target", "predicted_target", "probability")


@dataclass(frozen=True)
class Predictions:
    """The target class against the rest on N real images.

    Attributes:
        images: N sha256 of the files; the order is that of all cells.
        groups: N patients or cases (the image itself where unknown).
        target: N booleans, the truth.
        predicted: N booleans, whether the classifier's first choice is the target class.
        probability: N probabilities of the target class, in [0, 1].
    """

    images: tuple[str, ...]
    groups: tuple[str, ...]
    target: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    probability: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Checks that all parts have one length and that both classes occur.

        Raises:
            InputError: they do not.
        """
        parts = (self.groups, self.target, self.predicted, self.probability)
        if any(len(part) != len(self.images) for part in parts):
            raise InputError("predictions need one value of each kind an image")
        if not np.isfinite(self.probability).all():
            raise InputError("a classifier gave a probability that is no number")
        if not self.target.any() or self.target.all():
            raise InputError("predictions need images of the target class and others")

    def ordered(self) -> "Predictions":
        """The same in an order that depends on the images only, so that cells can be paired."""
        order = sorted(range(len(self.images)), key=lambda i: (self.images[i], self.groups[i]))
        return Predictions(
            tuple(self.images[i] for i in order),
            tuple(self.groups[i] for i in order),
            self.target[order],
            self.predicted[order],
            self.probability[order],
        )

    def frame(self) -> pd.DataFrame:
        """One row an image."""
        values = (self.images, self.groups, self.target, self.predicted, self.probability)
        return pd.DataFrame(dict(zip(_COLUMNS, values, strict=True)))

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "Predictions":
        """Reads what `frame` gave.

        Raises:
            InputError: a column is missing.
        """
        missing = [c for c in _COLUMNS if c not in frame.columns]
        if missing:
            raise InputError(f"a table of predictions lacks the columns {', '.join(missing)}")
        return cls(
            tuple(frame["image"].astype(str)),
            tuple(frame["group"].astype(str)),
            frame["target"].to_numpy(bool),
            frame["predicted_target"].to_numpy(bool),
            frame["probability"].to_numpy(float),
        )


@dataclass(frozen=True)
class CellPredictions:
    """What a cell's classifier said of the two held-out parts.

    Attributes:
        validation: on the validation images, from which ratios are chosen.
        test: on the test images, from which the verdict comes.
    """

    validation: Predictions
    test: Predictions


def counts(predictions: Predictions) -> dict[str, int]:
    """True and false positives and negatives of the target class."""
    truth, said = predictions.target, predictions.predicted
    return {
        "true_positives": int((truth & said).sum()),
        "false_positives": int((~truth & said).sum()),
        "false_negatives": int((truth & ~said).sum()),
        "true_negatives": int((~truth & ~said).sum()),
    }


def scores(predictions: Predictions) -> dict[str, float]:
    """The scores named in `METRICS`, of the target class against the rest.

    Average precision and AUROC follow from the probabilities, the others from the first
    choice. Precision is 0 when the class is never chosen.
    """
    c = counts(predictions)
    tp, fp, fn, tn = c.values()
    return {
        "average_precision": float(
            average_precision_score(predictions.target, predictions.probability)
        ),
        "auroc": float(roc_auc_score(predictions.target, predictions.probability)),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "recall": tp / (tp + fn),
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "specificity": tn / (tn + fp),
        "accuracy": (tp + tn) / (tp + fp + fn + tn),
    }


def intervals(predictions: Predictions, confidence: float = 0.95) -> dict[str, tuple[float, float]]:
    """Intervals of one classifier's recall (Wilson) and F1 (Jeffreys) on these images."""
    c = counts(predictions)
    tp, fp, fn = c["true_positives"], c["false_positives"], c["false_negatives"]
    return {
        "recall": proportion_interval(tp, tp + fn, confidence),
        "f1": f1_interval(tp, fp, fn, confidence),
    }
