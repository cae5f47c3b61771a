import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from hzsynth.statistics.choice import best_place, places_by_run, variance_of_choice

Floats = NDArray[np.float64]


def test_a_run_has_no_say_in_its_own_arm() -> None:
    validation = np.random.default_rng(0).normal(size=(4, 5))
    expected = []
    for run in range(5):
        others = [other for other in range(5) if other != run]
        means = [np.mean([validation[arm, other] for other in others]) for arm in range(4)]
        expected.append(int(np.argmax(means)))
    assert places_by_run(validation).tolist() == expected
    validation[2, 3] = 100.0
    assert places_by_run(validation)[3] == expected[3]
    assert best_place(validation) == 2


def test_of_equal_arms_the_first_is_chosen_also_where_rounding_differs() -> None:
    validation = np.array([[0.1 + 0.2, 0.3], [0.3, 0.1 + 0.2], [0.2, 0.2]])
    assert best_place(validation) == 0
    assert places_by_run(validation).tolist() == [0, 0]
    assert places_by_run(validation[:, :1]).tolist() == [0]


def test_where_nothing_is_chosen_the_variance_is_the_usual_one() -> None:
    generator = np.random.default_rng(1)
    differences = generator.normal(size=(1, 6))
    usual = differences[0].var(ddof=1) / 6
    assert variance_of_choice(generator.normal(size=(1, 6)), differences) == pytest.approx(usual)
    # The same where one arm is always the best.
    validation = np.concatenate([np.full((1, 6), 9.0), generator.normal(size=(3, 6))])
    four = np.concatenate([differences, generator.normal(size=(3, 6))])
    assert variance_of_choice(validation, four) == pytest.approx(usual)
    assert np.isnan(variance_of_choice(validation[:, :1], four[:, :1]))


@pytest.mark.parametrize("runs", [3, 5])
def test_choosing_run_by_run_makes_the_runs_dependent_and_the_variance_says_so(runs: int) -> None:
    """Twelve arms alike; a run's luck is seen on validation and on test."""
    generator = np.random.default_rng(2)
    means, usual, jackknife = [], [], []
    for _ in range(3000):
        luck, baseline = generator.normal(size=(12, runs)), generator.normal(size=runs)
        differences = luck - baseline
        chosen = differences[places_by_run(luck), np.arange(runs)]
        means.append(chosen.mean())
        usual.append(chosen.var(ddof=1) / runs)
        jackknife.append(variance_of_choice(luck, differences))
    found = np.array(means)
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    # As if the runs were independent the variance would be too small by a third and more.
    assert np.mean(usual) < 0.75 * found.var() < 0.75 * np.mean(jackknife)
    assert _above(found, np.array(usual), runs) > 0.031
    assert _above(found, np.array(jackknife), runs) < 0.025 + 2 * 0.0029


def _above(means: Floats, variances: Floats, runs: int) -> float:
    """Share of the studies whose 95 % interval lies above 0."""
    return float((means > stats.t.ppf(0.975, runs - 1) * np.sqrt(variances)).mean())
