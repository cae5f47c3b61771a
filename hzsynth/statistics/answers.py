"""What a classifier said of N photographs: the one type that all statistics start from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hzsynth.core.errors import InputError
from hzsynth.statistics.classification import confusion_matrix

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

_COLUMNS = ("sha256", "group", "label", "predicted")
_PROBABILITY = "p_"


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier said of N photographs, beside the truth.

    Attributes:
        images: N sha256 of the files.
        patients: N patients or cases; the photograph itself where unknown.
        truth: int64 N, places in `labels`.
        probabilities: float64 N x C; the class chosen is the likeliest.
        labels: C class names.
        label: the target class, one of `labels`.
    """

    images: tuple[str, ...]
    patients: tuple[str, ...]
    truth: Integers
    probabilities: Floats
    labels: tuple[str, ...]
    label: str

    def __post_init__(self) -> None:
        """Checks that all parts fit together.

        Raises:
            InputError: they do not, or a probability is no number.
        """
        n, classes = len(self.images), len(self.labels)
        if len(self.patients) != n or len(self.truth) != n or self.probabilities.shape[:1] != (n,):
            raise InputError("answers need one value of each kind for each image")
        if self.probabilities.shape != (n, classes):
            raise InputError(
                f"answers need a probability for each of {classes} classes, not an array of shape "
                f"{self.probabilities.shape}"
            )
        if not np.isfinite(self.probabilities).all():
            raise InputError("a classifier gave a probability that is no number")
        if n and not 0 <= self.truth.min() <= self.truth.max() < classes:
            raise InputError(f"true classes lie in 0 to {classes - 1}, not in {set(self.truth)}")
        if self.label not in self.labels:
            raise InputError(
                f"the target class '{self.label}' is not among {', '.join(self.labels)}"
            )

    def __len__(self) -> int:
        """The number of photographs."""
        return len(self.images)

    @property
    def target(self) -> int:
        """Place of the target class."""
        return self.labels.index(self.label)

    @property
    def predicted(self) -> Integers:
        """The likeliest class of each photograph: N places in `labels`."""
        predicted: Integers = self.probabilities.argmax(axis=1)
        return predicted

    @property
    def right(self) -> Booleans:
        """Whether the class chosen is the true one: N."""
        right: Booleans = self.predicted == self.truth
        return right

    @property
    def confusion(self) -> Integers:
        """Counts, C x C: rows are the true classes."""
        return confusion_matrix(self.truth, self.predicted, len(self.labels))

    @property
    def is_target(self) -> Booleans:
        """Whether each photograph shows the target class: N."""
        positive: Booleans = self.truth == self.target
        return positive

    @property
    def called_target(self) -> Booleans:
        """Whether the target class is the one chosen: N."""
        called: Booleans = self.predicted == self.target
        return called

    @property
    def score(self) -> Floats:
        """Probability of the target class: N."""
        score: Floats = self.probabilities[:, self.target]
        return score

    @property
    def several_photographs_a_patient(self) -> bool:
        """Whether any patient has more than one photograph."""
        return len(set(self.patients)) < len(self)

    def count_patients(self, chosen: ArrayLike | None = None) -> int:
        """Patients with a photograph among the chosen ones (N booleans); without: all."""
        mask = np.ones(len(self), bool) if chosen is None else np.asarray(chosen, bool)
        return len({patient for patient, kept in zip(self.patients, mask, strict=True) if kept})

    def select(self, rows: ArrayLike) -> "Answers":
        """The answers about some photographs, by place, in that order."""
        places = np.asarray(rows, np.int64)
        return replace(
            self,
            images=tuple(self.images[place] for place in places),
            patients=tuple(self.patients[place] for place in places),
            truth=self.truth[places],
            probabilities=self.probabilities[places],
        )

    def ordered(self) -> "Answers":
        """The same in an order that depends on the images only, so that answers can be paired."""
        return self.select(
            sorted(range(len(self)), key=lambda row: (self.images[row], self.patients[row]))
        )

    def with_labels(self, labels: Sequence[str]) -> "Answers":
        """The same with the classes in another order.

        Raises:
            InputError: they are not the same classes.
        """
        if set(labels) != set(self.labels) or len(labels) != len(self.labels):
            raise InputError(
                f"the classes {', '.join(labels)} are not those of the answers: "
                f"{', '.join(self.labels)}"
            )
        places = np.array([list(labels).index(label) for label in self.labels], np.int64)
        columns = [self.labels.index(label) for label in labels]
        return replace(
            self,
            truth=places[self.truth],
            probabilities=self.probabilities[:, columns],
            labels=tuple(labels),
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a photograph: sha256, group, label, predicted, then ``p_<class>`` by class.

        The group is empty where the patient is unknown, as in an image set.
        """
        groups = [
            "" if patient == image else patient
            for image, patient in zip(self.images, self.patients, strict=True)
        ]
        names = np.array(self.labels, dtype=object)
        values = (list(self.images), groups, names[self.truth], names[self.predicted])
        head = pd.DataFrame(dict(zip(_COLUMNS, values, strict=True)), dtype=object)
        columns = [f"{_PROBABILITY}{label}" for label in self.labels]
        return pd.concat([head, pd.DataFrame(self.probabilities, columns=columns)], axis=1)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, label: str) -> "Answers":
        """Reads what `to_frame` gave, of numbers or of text; further columns are left out.

        Args:
            frame: one row a photograph.
            label: the target class.

        Returns:
            The answers, equal to the last digit.

        Raises:
            InputError: a column is missing or holds what it should not.
        """
        missing = [column for column in _COLUMNS[:3] if column not in frame.columns]
        columns = [c for c in frame.columns if c.startswith(_PROBABILITY)]
        if missing or not columns:
            lacking = ", ".join(missing or [f"{_PROBABILITY}<class>"])
            raise InputError(f"a table of answers lacks the columns {lacking}")
        labels = tuple(column.removeprefix(_PROBABILITY) for column in columns)
        unknown = sorted(set(frame["label"]) - set(labels))
        if unknown:
            raise InputError(f"a table of answers has no probability of its class '{unknown[0]}'")
        try:
            probabilities = frame[columns].astype(np.float64).to_numpy()
        except ValueError as error:
            raise InputError(
                f"a table of answers has a probability that is none: {error}"
            ) from error
        images = tuple(frame["sha256"].astype(str))
        groups = frame["group"].fillna("").astype(str)
        return cls(
            images=images,
            patients=tuple(g or image for g, image in zip(groups, images, strict=True)),
            truth=np.array([labels.index(name) for name in frame["label"]], np.int64),
            probabilities=probabilities,
            labels=labels,
            label=label,
        )


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


def read_text_table(path: Path) -> pd.DataFrame:
    """A CSV with every cell as it was written, so that no digit is lost.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read: {error}") from error
