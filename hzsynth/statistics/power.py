"""What an ablation can find: the power of the contrast that decides, and the gain it needs."""

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from hzsynth.statistics.contrast import patient_freedom, satterthwaite, smallest_variance
from hzsynth.statistics.metric_intervals import FEWEST_PATIENTS

PATIENT_SPREAD, RUN_SPREAD = 0.25, 0.04
"""Standard deviations of a paired difference in average precision from one patient of the target
class, and from training once more, where nothing better is known: as of arms with an average
precision of .6 to .9 whose scores agree in large part."""


def contrast_power(
    gain: float,
    positive_patients: int,
    runs: int,
    *,
    patient_spread: float = PATIENT_SPREAD,
    run_spread: float = RUN_SPREAD,
    confidence: float = 0.95,
) -> float:
    """Chance that the interval of `contrast.hierarchical_contrast` lies above 0.

    The difference follows a t distribution around the gain, with the variance and the degrees of
    freedom that the contrast will have at these spreads.

    Args:
        gain: true difference in average precision, in [0, 1].
        positive_patients: test patients of the target class.
        runs: of each arm, at least 1.
        patient_spread: standard deviation of the difference from one patient.
        run_spread: standard deviation of the difference from one run.
        confidence: of the interval.

    Returns:
        The power, in [0, 1]; 0 with fewer than `FEWEST_PATIENTS`.
    """
    if positive_patients < FEWEST_PATIENTS:
        return 0.0
    seen = patient_spread**2 / positive_patients
    of_patients = max(seen, smallest_variance(positive_patients))
    of_runs = run_spread**2 / runs
    freedom = satterthwaite(
        (of_patients, patient_freedom(positive_patients)), (of_runs, max(1, runs - 1))
    )
    error = float(np.sqrt(of_patients + of_runs))
    return float(stats.nct.sf(stats.t.ppf(0.5 + confidence / 2, freedom), freedom, gain / error))


def findable_gain(
    positive_patients: int,
    runs: int,
    power: float = 0.8,
    *,
    patient_spread: float = PATIENT_SPREAD,
    run_spread: float = RUN_SPREAD,
    confidence: float = 0.95,
) -> float | None:
    """The smallest gain in average precision found with this power (see `contrast_power`).

    Returns:
        The gain, or None where not even a gain of 1 is found.
    """

    def lacking(gain: float) -> float:
        found = contrast_power(
            gain,
            positive_patients,
            runs,
            patient_spread=patient_spread,
            run_spread=run_spread,
            confidence=confidence,
        )
        return found - power

    if lacking(1.0) < 0:
        return None
    return float(brentq(lacking, 0.0, 1.0, xtol=1e-4))
