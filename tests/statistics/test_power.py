import numpy as np
import pytest
from scipy import stats

from hzsynth.statistics.contrast import patient_freedom, smallest_variance
from hzsynth.statistics.power import contrast_power, findable_gain


def test_power_is_that_of_the_interval_that_decides() -> None:
    # One component only: the t test of a mean difference, by simulation.
    patients, spread, gain = 20, 0.25, 0.15
    freedom = patient_freedom(patients)
    rng = np.random.default_rng(0)
    error = spread / np.sqrt(patients)
    seen = error * np.sqrt(rng.chisquare(freedom, 20000) / freedom)
    estimate = rng.normal(gain, error, 20000)
    found = (estimate - stats.t.ppf(0.975, freedom) * seen > 0).mean()
    power = contrast_power(gain, patients, 5, patient_spread=spread, run_spread=0.0)
    assert power == pytest.approx(found, abs=0.015)


def test_power_without_a_gain_is_half_the_level() -> None:
    assert contrast_power(0.0, 30, 5) == pytest.approx(0.025, abs=1e-6)
    assert contrast_power(0.0, 30, 5, confidence=0.9) == pytest.approx(0.05, abs=1e-6)


def test_patients_and_runs_and_gain_all_help() -> None:
    assert contrast_power(0.1, 15, 5) < contrast_power(0.1, 60, 5)
    assert contrast_power(0.1, 60, 3, run_spread=0.1) < contrast_power(0.1, 60, 9, run_spread=0.1)
    assert contrast_power(0.05, 60, 5) < contrast_power(0.1, 60, 5)


def test_few_patients_keep_their_smallest_variance() -> None:
    calm = contrast_power(0.1, 10, 5, patient_spread=0.0, run_spread=0.0)
    error = np.sqrt(smallest_variance(10))
    assert calm == pytest.approx(stats.nct.sf(stats.t.ppf(0.975, 18), 18, 0.1 / error), abs=1e-9)
    assert contrast_power(0.9, 3, 50) == 0


def test_the_findable_gain_has_the_power_asked_for() -> None:
    gain = findable_gain(30, 5)
    assert gain is not None
    assert contrast_power(gain, 30, 5) == pytest.approx(0.8, abs=1e-3)
    assert findable_gain(3, 5) is None
    assert findable_gain(4, 2, run_spread=5.0) is None
