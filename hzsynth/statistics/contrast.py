"""Paired hierarchical bootstrap: patients first, then training runs.

Two arms are compared on the same test images and with the same seeds. A replicate draws
patients with replacement (those with the target class and the others separately), then runs,
and takes the difference of the mean average precision. Levels are drawn with n - 1 draws
from n (Rao and Wu 1988), which makes the variance of the replicates unbiased for small n.
The interval is that of a t distribution whose degrees of freedom follow Satterthwaite (1946)
from the two levels, since a handful of runs cannot carry a normal quantile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.classification import average_precision
from hzsynth.statistics.paired import Difference, check_same_photographs, t_difference

Floats = NDArray[np.float64]
_CHUNK = 250


def _draws(generator: np.random.Generator, count: int, replicates: int) -> Floats:
    draws = max(1, count - 1)
    return generator.multinomial(draws, np.full(count, 1 / count), replicates).astype(float)


def _patients(answers: Answers) -> tuple[NDArray[np.intp], list[NDArray[np.intp]]]:
    """Each image's patient by number, and the patients with and without the target class."""
    _, patient = np.unique(np.array(answers.patients), return_inverse=True)
    with_target = np.unique(patient[answers.is_target])
    without = np.setdiff1d(np.arange(patient.max() + 1), with_target)
    return patient, [stratum for stratum in (with_target, without) if len(stratum)]


@dataclass(frozen=True)
class Contrast:
    """The difference in average precision between two arms, and where its doubt comes from.

    Attributes:
        difference: first arm minus second, with the interval described above.
        by_run: the difference of each run, on all test images.
        patient_variance: variance from the choice of test patients.
        run_variance: variance from the training runs; NaN with a single run.
        runs: pairs of runs.
        patients: test patients.
        positives: test images of the target class.
        positive_patients: patients with the target class.
        images: test images.
        replicates: of the bootstrap.
    """

    difference: Difference
    by_run: tuple[float, ...]
    patient_variance: float
    run_variance: float
    runs: int
    patients: int
    positives: int
    positive_patients: int
    images: int
    replicates: int


def _check_pairs(first: Sequence[Answers], second: Sequence[Answers]) -> None:
    if not first or len(first) != len(second):
        raise InputError(
            f"a paired contrast needs as many runs of both arms, not {len(first)} and {len(second)}"
        )
    for answers in (*first[1:], *second):
        check_same_photographs(first[0], answers)


def _replicated_differences(
    first: Sequence[Answers],
    second: Sequence[Answers],
    generator: np.random.Generator,
    replicates: int,
) -> Floats:
    """Difference of each run (columns) under each redrawn test set (rows)."""
    patient, strata = _patients(first[0])
    rows = []
    for start in range(0, replicates, _CHUNK):
        size = min(_CHUNK, replicates - start)
        by_patient = np.zeros((size, int(patient.max()) + 1))
        for stratum in strata:
            by_patient[:, stratum] = _draws(generator, len(stratum), size)
        weights = by_patient[:, patient]
        columns = [
            average_precision(a.is_target, a.score, weights)
            - average_precision(b.is_target, b.score, weights)
            for a, b in zip(first, second, strict=True)
        ]
        rows.append(np.stack(columns, axis=1))
    return np.concatenate(rows)


def hierarchical_contrast(
    first: Sequence[Answers],
    second: Sequence[Answers],
    generator: np.random.Generator,
    *,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Contrast:
    """Compares two arms by average precision on the same images over paired runs.

    Args:
        first: answers of each run of the first arm, all on the same images.
        second: those of the second arm, with the same seeds in the same order.
        generator: source of the draws.
        replicates: bootstrap replicates.
        confidence: of the interval.

    Returns:
        The contrast. With one run, the doubt of retraining is unknown and not contained.

    Raises:
        InputError: the runs do not pair up.
    """
    _check_pairs(first, second)
    reference = first[0]
    differences = _replicated_differences(first, second, generator, replicates)
    runs = len(first)
    run_weights = _draws(generator, runs, replicates)
    run_weights /= run_weights.sum(axis=1, keepdims=True)
    whole = np.ones((1, len(reference.images)))
    by_run = np.array(
        [
            average_precision(a.is_target, a.score, whole)[0]
            - average_precision(b.is_target, b.score, whole)[0]
            for a, b in zip(first, second, strict=True)
        ]
    )
    error = float((differences * run_weights).sum(axis=1).std(ddof=1))
    patient_variance = float(differences.mean(axis=1).var(ddof=1))
    run_variance = float(by_run.var(ddof=1) / runs) if runs > 1 else float("nan")
    _, strata = _patients(reference)
    positive_patients = len(strata[0])
    df = _satterthwaite(
        (patient_variance, max(1, positive_patients - 1)),
        (run_variance if runs > 1 else 0.0, max(1, runs - 1)),
    )
    found = t_difference(float(by_run.mean()), error, df, confidence)
    return Contrast(
        # Two scores in [0, 1] differ by at most 1; with few degrees of freedom t reaches further.
        difference=replace(found, low=max(-1.0, found.low), high=min(1.0, found.high)),
        by_run=tuple(float(d) for d in by_run),
        patient_variance=patient_variance,
        run_variance=run_variance,
        runs=runs,
        patients=sum(len(stratum) for stratum in strata),
        positives=int(reference.is_target.sum()),
        positive_patients=positive_patients,
        images=len(reference.images),
        replicates=replicates,
    )


def _satterthwaite(*components: tuple[float, int]) -> float:
    """Degrees of freedom of a sum of variances, each given with its own."""
    total = sum(variance for variance, _ in components)
    if total == 0:
        return float(min(df for _, df in components))
    return float(total**2 / sum(variance**2 / df for variance, df in components))
