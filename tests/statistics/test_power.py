import numpy as np
import pytest
from scipy import stats

from hzsynth.statistics.contrast import hierarchical_contrast, patient_freedom, smallest_variance
from hzsynth.statistics.power import (
    ASSUMED,
    Spreads,
    contrast_power,
    findable_gain,
    spreads_of,
)
from tests.statistics.scenes import two_classes


def test_power_is_that_of_the_interval_that_decides() -> None:
    # One component only: the t test of a mean difference, by simulation.
    patients, spread, gain = 20, 0.25, 0.15
    freedom = patient_freedom(patients)
    rng = np.random.default_rng(0)
    error = spread / np.sqrt(patients)
    seen = error * np.sqrt(rng.chisquare(freedom, 20000) / freedom)
    estimate = rng.normal(gain, error, 20000)
    found = (estimate - stats.t.ppf(0.975, freedom) * seen > 0).mean()
    power = contrast_power(gain, patients, 5, Spreads(spread, 0.0))
    assert power == pytest.approx(found, abs=0.015)


def test_power_without_a_gain_is_half_the_level() -> None:
    assert contrast_power(0.0, 30, 5) == pytest.approx(0.025, abs=1e-6)
    assert contrast_power(0.0, 30, 5, confidence=0.9) == pytest.approx(0.05, abs=1e-6)


def test_patients_and_runs_and_gain_all_help() -> None:
    lucky = Spreads(ASSUMED.patient, 0.1)
    assert contrast_power(0.1, 15, 5) < contrast_power(0.1, 60, 5)
    assert contrast_power(0.1, 60, 3, lucky) < contrast_power(0.1, 60, 9, lucky)
    assert contrast_power(0.05, 60, 5) < contrast_power(0.1, 60, 5)


def test_few_patients_keep_their_smallest_variance() -> None:
    calm = contrast_power(0.1, 10, 5, Spreads(0.0, 0.0))
    error = np.sqrt(smallest_variance(10))
    assert calm == pytest.approx(stats.nct.sf(stats.t.ppf(0.975, 18), 18, 0.1 / error), abs=1e-9)
    assert contrast_power(0.9, 3, 50) == 0


def test_the_findable_gain_has_the_power_asked_for() -> None:
    gain = findable_gain(30, 5)
    assert gain is not None
    assert contrast_power(gain, 30, 5) == pytest.approx(0.8, abs=1e-3)
    assert findable_gain(3, 5) is None
    assert findable_gain(4, 2, Spreads(ASSUMED.patient, 5.0)) is None


def test_a_pilot_tells_the_spreads_that_were_planted() -> None:
    """Each patient's gain and each training's luck are drawn: by how much, the contrast has to say."""
    generator, patients, runs = np.random.default_rng(3), 60, 20
    target = np.arange(4 * patients) < patients
    shared, gain = generator.normal(size=(2, 4 * patients))
    arms = []
    for moved in (1.0, 0.0):
        arms.append(
            [
                two_classes(
                    target, shared + target + moved * gain + 0.3 * generator.normal() * target
                )
                for _ in range(runs)
            ]
        )
    contrast = hierarchical_contrast(arms[0], arms[1], generator)
    spreads = spreads_of(contrast)
    assert spreads is not None
    assert spreads.run == pytest.approx(np.std(contrast.by_run, ddof=1))
    assert spreads.patient == pytest.approx(np.sqrt(patients * contrast.patient_variance))
    # What is planned by them at the pilot's own size has the pilot's own error.
    power = contrast_power(0.2, patients, runs, spreads)
    error = np.sqrt(contrast.patient_variance + contrast.run_variance)
    freedom = contrast.difference.degrees_of_freedom
    assert power == pytest.approx(stats.nct.sf(stats.t.ppf(0.975, freedom), freedom, 0.2 / error))


@pytest.mark.parametrize(("patients", "runs"), [(3, 3), (6, 1)])
def test_a_pilot_of_too_little_tells_nothing(patients: int, runs: int) -> None:
    target = np.arange(5 * patients) < patients
    arms = [two_classes(target, np.random.default_rng(n).random(len(target))) for n in range(2)]
    found = hierarchical_contrast(arms[:1] * runs, arms[1:] * runs, np.random.default_rng(0))
    assert spreads_of(found) is None
