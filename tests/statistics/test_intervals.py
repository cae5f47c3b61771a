import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from hzsynth.statistics.classification import auroc
from hzsynth.statistics.intervals import (
    auroc_interval,
    f1_interval,
    predictive_value_interval,
    proportion_interval,
)


@pytest.mark.parametrize(("successes", "count"), [(0, 7), (1, 12), (12, 15), (30, 30), (77, 200)])
def test_wilson_solves_its_equation_and_agrees_with_statsmodels(successes: int, count: int) -> None:
    low, high = proportion_interval(successes, count)
    expected = proportion_confint(successes, count, method="wilson")
    assert (low, high) == pytest.approx(expected, abs=1e-12)
    # The ends p are where |x/n - p| is 1.96 standard errors of p itself.
    for end in (low, high):
        if 0 < end < 1:
            error = np.sqrt(end * (1 - end) / count)
            assert abs(successes / count - end) == pytest.approx(stats.norm.ppf(0.975) * error)


def test_recall_of_12_in_15_is_as_uncertain_as_published() -> None:
    assert proportion_interval(12, 15) == pytest.approx((0.55, 0.93), abs=0.005)


def test_without_trials_nothing_is_known() -> None:
    assert proportion_interval(0, 0) == (0, 1)
    assert f1_interval(0, 0, 0) == (0, 1)


def test_extremes_that_were_observed_are_inside() -> None:
    assert (
        proportion_interval(5, 5)[1] == f1_interval(5, 0, 0)[1] == auroc_interval(1, 5, 9)[1] == 1
    )
    assert (
        proportion_interval(0, 5)[0] == f1_interval(0, 3, 2)[0] == auroc_interval(0, 5, 9)[0] == 0
    )
    assert 0.5 < f1_interval(5, 0, 0)[0] < 1
    assert 0.5 < auroc_interval(1, 5, 9)[0] < 1


def test_f1_interval_covers_with_15_positives() -> None:
    # Recall .8 of 15 positives, a false positive rate of .04 among 100 others: F1 = 24 / 31.
    # The coverage is summed over all outcomes, not simulated.
    truth, covered = 24 / 31, 0.0
    for hits in range(16):
        for wrong in range(20):
            low, high = f1_interval(hits, wrong, 15 - hits)
            weight = stats.binom.pmf(hits, 15, 0.8) * stats.binom.pmf(wrong, 100, 0.04)
            covered += weight * (low <= truth <= high)
    assert 0.94 <= covered <= 0.98


def test_f1_interval_contains_and_narrows() -> None:
    for scale in (1, 10, 100):
        low, high = f1_interval(8 * scale, 2 * scale, 3 * scale)
        assert low < 16 / 21 < high
    assert np.ptp(f1_interval(80, 20, 30)) < np.ptp(f1_interval(8, 2, 3)) / 2


@pytest.mark.parametrize(("area", "positives", "negatives"), [(0.9, 15, 100), (0.6, 40, 40)])
def test_auroc_ends_solve_the_equation_of_hanley_and_mcneil(
    area: float, positives: int, negatives: int
) -> None:
    for end in auroc_interval(area, positives, negatives):
        # Their variance with Q1 and Q2 spelled out, both numbers replaced by the mean.
        q1, q2, mean = end / (2 - end), 2 * end**2 / (1 + end), (positives + negatives) / 2
        spread = end * (1 - end) + (mean - 1) * (q1 - end**2) + (mean - 1) * (q2 - end**2)
        error = np.sqrt(spread / (positives * negatives))
        assert abs(area - end) == pytest.approx(stats.norm.ppf(0.975) * error, rel=1e-6)


def test_auroc_interval_covers_with_15_positives() -> None:
    # Two normal distributions whose means differ by 2: area Phi(sqrt 2) = .921.
    rng = np.random.default_rng(3)
    positive = np.arange(75) < 15
    inside = 0
    for _ in range(500):
        area = auroc(positive, rng.normal(0, 1, 75) + 2 * positive)[0]
        low, high = auroc_interval(float(area), 15, 60)
        inside += low <= stats.norm.cdf(np.sqrt(2)) <= high
    assert 0.92 <= inside / 500 <= 0.99


@pytest.mark.parametrize(
    ("recall", "false_rate", "own"), [(0.866, 0.067, 15), (0.5, 0.1, 30), (0.866, 0.03, 60)]
)
def test_a_predictive_value_is_covered_where_the_mixture_is_given(
    recall: float, false_rate: float, own: int
) -> None:
    others = 6 * own
    truth = recall * own / (recall * own + false_rate * others)
    chance = 0.0
    # Every table that can come out, weighted by its probability: no simulation.
    for hits in range(own + 1):
        for false in range(others + 1):
            weight = stats.binom.pmf(hits, own, recall) * stats.binom.pmf(false, others, false_rate)
            if weight < 1e-7:
                continue
            low, high = predictive_value_interval(hits, own, false, others)
            value = hits / (hits + false) if hits + false else 0.0
            assert low <= value + 1e-12
            assert value <= high + 1e-12
            chance += weight * (low <= truth <= high)
    assert 0.93 <= chance <= 0.97


def test_a_predictive_value_without_false_or_without_hits_has_one_open_end() -> None:
    low, high = predictive_value_interval(3, 3, 0, 3)
    assert high == 1.0
    assert 0.3 < low < 0.8
    low, high = predictive_value_interval(0, 10, 4, 50)
    assert low == 0.0
    assert 0.2 < high < 1.0
    assert predictive_value_interval(0, 10, 0, 10) == (0.0, 1.0)
    assert predictive_value_interval(0, 0, 3, 10) == (0.0, 1.0)


def test_photographs_that_are_worth_less_widen_the_interval() -> None:
    alone = predictive_value_interval(12, 15, 6, 90)
    clustered = predictive_value_interval(12, 15, 6, 90, worth=(0.5, 0.5))
    assert clustered[0] < alone[0] < alone[1] < clustered[1]
    # Of infinitely many there is no doubt left.
    many = predictive_value_interval(12e6, 15e6, 6e6, 90e6)
    assert many == pytest.approx((2 / 3, 2 / 3), abs=1e-3)
