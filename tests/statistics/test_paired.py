"""Paired tests against scipy, statsmodels and definitions written out."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

from hzsynth.core.errors import InputError
from hzsynth.statistics.paired import (
    corrected_t,
    delong,
    exact_mcnemar,
    holm,
    non_inferiority,
    t_difference,
)


def test_corrected_t_without_overlap_is_the_paired_t_test() -> None:
    values = [0.03, -0.01, 0.05, 0.02, 0.04]
    ours = corrected_t(values, test_to_train=0)
    theirs = stats.ttest_1samp(values, 0)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    interval = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


def test_corrected_t_widens_by_the_factor_of_nadeau_and_bengio() -> None:
    values = [0.03, -0.01, 0.05, 0.02, 0.04]
    plain = corrected_t(values, 0)
    corrected = corrected_t(values, 0.25)
    factor = math.sqrt((1 / 5 + 0.25) / (1 / 5))
    assert corrected.standard_error == pytest.approx(plain.standard_error * factor)


def test_a_t_test_of_one_value_is_refused() -> None:
    with pytest.raises(InputError, match="two differences"):
        corrected_t([0.1], 0.2)


@pytest.mark.parametrize("estimate", [0.0, 0.1, -0.1])
def test_a_difference_without_spread_proves_nothing(estimate: float) -> None:
    found = t_difference(estimate, 0.0, 4)
    assert (found.low, found.high, found.p_value) == (-np.inf, np.inf, 1)
    assert not non_inferiority(found, 0.05).shown


def test_mcnemar_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, two = rng.random((2, 30)) < 0.7
        table = [
            [int((one & two).sum()), int((one & ~two).sum())],
            [int((~one & two).sum()), int((~one & ~two).sum())],
        ]
        assert exact_mcnemar(one, two) == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert exact_mcnemar([True], [True]) == 1


def _delong_by_pairs(truth: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """DeLong 1988 as written: the kernel over all pairs of a positive and a negative."""

    def kernel(s: np.ndarray) -> np.ndarray:
        x, y = s[truth][:, None], s[~truth][None]
        return np.asarray((x > y) + 0.5 * (x == y))

    ka, kb = kernel(a), kernel(b)
    by_positive = np.stack([ka.mean(1), kb.mean(1)])
    by_negative = np.stack([ka.mean(0), kb.mean(0)])
    s = np.cov(by_positive) / ka.shape[0] + np.cov(by_negative) / ka.shape[1]
    contrast = np.array([1, -1])
    return ka.mean(), kb.mean(), math.sqrt(contrast @ s @ contrast)


def test_delong_agrees_with_the_pairwise_definition_and_sklearn() -> None:
    generator = np.random.default_rng(0)
    truth = np.arange(60) % 3 == 0
    a = np.round(truth + generator.normal(size=60), 1)  # rounding makes ties
    b = np.round(0.5 * truth + generator.normal(size=60), 1)
    ours = delong(truth, a, b)
    first, second, error = _delong_by_pairs(truth, a, b)
    assert (ours.first, ours.second) == pytest.approx((first, second))
    assert ours.first == pytest.approx(roc_auc_score(truth, a))
    assert ours.difference.standard_error == pytest.approx(error)
    z = (first - second) / error
    assert ours.difference.p_value == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_delong_of_equal_scores_finds_nothing() -> None:
    truth = np.arange(20) % 2 == 0
    score = np.linspace(0, 1, 20)
    assert delong(truth, score, score).difference.p_value == 1
    with pytest.raises(InputError, match="two images"):
        delong([True, False, False], [1, 0, 0], [1, 0, 0])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_non_inferiority_needs_a_narrow_interval_not_a_large_p() -> None:
    vague = t_difference(0.0, 0.10, 10)
    narrow = t_difference(-0.01, 0.01, 10)
    assert vague.p_value == 1
    assert not non_inferiority(vague, 0.05).shown
    shown = non_inferiority(narrow, 0.05)
    assert shown.shown
    assert shown.bound == pytest.approx(-0.01 - stats.t.ppf(0.95, 10) * 0.01)
    assert shown.p_value == pytest.approx(stats.t.sf(4, 10))
    with pytest.raises(InputError, match="margin"):
        non_inferiority(narrow, 0.0)


def test_delong_holds_its_level() -> None:
    """Of two equally good scores, about 5 % are called different."""
    rng = np.random.default_rng(4)
    positive = np.arange(80) < 40
    called = 0
    for _ in range(400):
        common = rng.normal(positive, 1)
        one, two = (common + rng.normal(0, 1, 80) for _ in range(2))
        called += delong(positive, one, two).difference.p_value < 0.05
    # 20 expected of 400, binomial 99.9 % interval.
    assert 7 <= called <= 36
