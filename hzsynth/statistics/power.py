"""What an ablation can find: the power of the contrast that decides, and the gain it needs."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from hzsynth.statistics.contrast import (
    Contrast,
    patient_freedom,
    satterthwaite,
    smallest_variance,
)
from hzsynth.statistics.metric_intervals import FEWEST_PATIENTS


@dataclass(frozen=True)
class Spreads:
    """Standard deviations of a paired difference in average precision.

    Attributes:
        patient: from one patient of the target class to another.
        run: from one training to another.
    """

    patient: float
    run: float


ASSUMED = Spreads(patient=0.25, run=0.04)
"""Where nothing was measured: as of arms with an average precision of .6 to .9 whose scores agree in
large part."""


def spreads_of(contrast: Contrast) -> Spreads | None:
    """The spreads that a contrast saw, to plan a larger study by.

    Args:
        contrast: of a finished study. Where its few patients showed less than they can exclude, it is what
            they cannot exclude.

    Returns:
        The spreads; None from a single run or from too few patients, which say nothing of others.
    """
    if not contrast.identifiable or contrast.runs < 2:
        return None
    return Spreads(
        patient=float(np.sqrt(contrast.patient_variance * contrast.positive_patients)),
        run=float(np.sqrt(contrast.run_variance * contrast.runs)),
    )


def contrast_power(
    gain: float,
    positive_patients: int,
    runs: int,
    spreads: Spreads = ASSUMED,
    confidence: float = 0.95,
) -> float:
    """Chance that the interval of `contrast.hierarchical_contrast` lies above 0.

    The difference follows a t distribution around the gain, with the variance and the degrees of
    freedom that the contrast will have at these spreads.

    Args:
        gain: true difference in average precision, in [0, 1].
        positive_patients: test patients of the target class.
        runs: of each arm, at least 1.
        spreads: of the difference.
        confidence: of the interval.

    Returns:
        The power, in [0, 1]; 0 with fewer than `FEWEST_PATIENTS`.
    """
    if positive_patients < FEWEST_PATIENTS:
        return 0.0
    seen = spreads.patient**2 / positive_patients
    of_patients = max(seen, smallest_variance(positive_patients))
    of_runs = spreads.run**2 / runs
    freedom = satterthwaite(
        (of_patients, patient_freedom(positive_patients)), (of_runs, max(1, runs - 1))
    )
    error = float(np.sqrt(of_patients + of_runs))
    return float(stats.nct.sf(stats.t.ppf(0.5 + confidence / 2, freedom), freedom, gain / error))


def findable_gain(
    positive_patients: int,
    runs: int,
    spreads: Spreads = ASSUMED,
    confidence: float = 0.95,
    power: float = 0.8,
) -> float | None:
    """The smallest gain in average precision found with this power (see `contrast_power`).

    Returns:
        The gain, or None where not even a gain of 1 is found.
    """
    found = partial(
        contrast_power,
        positive_patients=positive_patients,
        runs=runs,
        spreads=spreads,
        confidence=confidence,
    )
    if found(1.0) < power:
        return None
    return float(brentq(lambda gain: found(gain) - power, 0.0, 1.0, xtol=1e-4))
