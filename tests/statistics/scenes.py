"""Answers made from a truth and a score, for tests of what is said of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hzsynth.statistics.answers import Answers


def two_classes(
    target: ArrayLike, score: ArrayLike, patients: Sequence[str] | None = None
) -> Answers:
    """Answers of a classifier of ``other`` and ``zoster``, which scores zoster as given."""
    truth, scores = np.asarray(target).astype(np.int64), np.asarray(score, np.float64)
    names = tuple(f"{number:04d}" for number in range(len(truth)))
    return Answers(
        images=names,
        patients=names if patients is None else tuple(patients),
        truth=truth,
        probabilities=np.stack([1 - scores, scores], axis=1),
        labels=("other", "zoster"),
        label="zoster",
    )
