import itertools

import pytest
from scipy import stats

from hzsynth.statistics.power import mcnemar_power, positives_for_power


@pytest.mark.parametrize(("positives", "percent"), [(30, 10), (60, 31), (120, 63), (240, 93)])
def test_power_of_mcnemar_for_ten_points_of_recall(positives: int, percent: int) -> None:
    # Known beforehand (protocol, step 7) up to rounding: 10, 30, 63 and 93 %.
    assert round(100 * mcnemar_power(positives)) == percent


def test_fifteen_positives_can_find_nothing() -> None:
    assert 0.005 < mcnemar_power(15) < 0.0105


def test_power_agrees_with_enumeration() -> None:
    # 7 positives: every outcome of (won, lost, equal) is weighed one by one.
    won, lost, expected = 0.3, 0.1, 0.0
    for outcome in itertools.product("wle", repeat=7):
        wins, losses = outcome.count("w"), outcome.count("l")
        if wins > losses and stats.binomtest(wins, wins + losses).pvalue <= 0.05:
            expected += won**wins * lost**losses * (1 - won - lost) ** (7 - wins - losses)
    assert mcnemar_power(7, gain=0.2, lost=0.1) == pytest.approx(expected)


def test_the_number_needed_is_the_smallest_with_that_power() -> None:
    needed = positives_for_power(0.8)
    assert needed is not None
    assert mcnemar_power(needed) >= 0.8 > mcnemar_power(needed - 10)
    assert positives_for_power(0.8, gain=0.01, most=100) is None
