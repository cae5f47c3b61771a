"""Draws of other test sets that could have been: of patients by class, and of confusion matrices."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hzsynth.statistics.answers import Answers
from hzsynth.statistics.classification import weighted_metrics

Floats = NDArray[np.float64]
_AT_ONCE = 250


def _strata(truth: NDArray[np.int64], patient: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Patients by the set of classes that their images have."""
    classes: dict[int, set[int]] = {}
    for number, label in zip(patient.tolist(), truth.tolist(), strict=True):
        classes.setdefault(number, set()).add(label)
    strata: dict[tuple[int, ...], list[int]] = {}
    for number, labels in sorted(classes.items()):
        strata.setdefault(tuple(sorted(labels)), []).append(number)
    return [np.array(members, np.int64) for members in strata.values()]


def bootstrap_weights(
    truth: ArrayLike, groups: Sequence[str], generator: np.random.Generator, replicates: int
) -> Iterator[Floats]:
    """How often each image occurs in each bootstrap replicate of a test set.

    Patients are drawn with replacement with all their images, separately for every
    combination of classes that a patient's images have: every replicate has every class.

    Args:
        truth: N whole numbers, the true classes.
        groups: N patients or cases.
        generator: source of the draws.
        replicates: their number B.

    Yields:
        Blocks of rows of a B x N array of counts.
    """
    _, patient = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    strata = _strata(np.asarray(truth, np.int64), patient)
    for start in range(0, replicates, _AT_ONCE):
        rows = min(_AT_ONCE, replicates - start)
        drawn = np.empty((rows, int(patient.max()) + 1))
        for members in strata:
            count = len(members)
            drawn[:, members] = generator.multinomial(count, np.full(count, 1 / count), rows)
        yield drawn[:, patient]


def dirichlet_confusions(
    confusion: ArrayLike, generator: np.random.Generator, replicates: int
) -> Floats:
    """Confusion matrices that are plausible given the observed one.

    Every row with images is a multinomial whose probabilities have a Dirichlet prior with
    1 / C in each cell (Perks 1947): one image's worth of doubt a class.

    Args:
        confusion: C x C counts, rows are the true classes.
        generator: source of the draws.
        replicates: their number B.

    Returns:
        float64 B x C x C, every row with the sum of the observed row.
    """
    counts = np.asarray(confusion, np.float64)
    classes = len(counts)
    shares = generator.standard_gamma(counts + 1 / classes, (replicates, classes, classes))
    shares /= np.maximum(shares.sum(axis=2, keepdims=True), np.finfo(float).tiny)
    result: Floats = shares * counts.sum(axis=1)[None, :, None]
    return result


def replicated_metrics(
    answers: Answers, generator: np.random.Generator, replicates: int
) -> dict[str, Floats]:
    """All metrics in each bootstrap replicate of the test set.

    Args:
        answers: of one classifier.
        generator: source of the draws.
        replicates: their number B.

    Returns:
        Name in `classification.METRICS` -> B values.

    Raises:
        InputError: the target class does not occur or nothing else does.
    """
    parts: dict[str, list[Floats]] = {}
    for weights in bootstrap_weights(answers.truth, answers.patients, generator, replicates):
        found = weighted_metrics(answers.truth, answers.probabilities, answers.target, weights)
        for name, values in found.items():
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}
