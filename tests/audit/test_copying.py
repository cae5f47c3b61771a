"""Nearness to training photographs: closed forms and simulations."""

import numpy as np
import pytest
from scipy import stats

from hzsynth.audit import copying


def test_the_probability_of_near_images_is_that_of_random_orders() -> None:
    rng = np.random.default_rng(0)
    fakes, held_out, rank = 12, 7, 2
    counts = []
    for _ in range(20_000):
        order = rng.permutation(np.r_[np.zeros(fakes), np.ones(held_out)])
        counts.append(int((order[: np.flatnonzero(order)[rank - 1]] == 0).sum()))
    for near in (0, 1, 3, 6, 10):
        simulated = float(np.mean(np.array(counts) >= near))
        exact = copying.near_probability(near, fakes, rank, held_out)
        assert exact == pytest.approx(simulated, abs=0.012)
    least = copying.noticeable_share(fakes, rank, held_out, 0.05)
    assert copying.near_probability(round(least * fakes), fakes, rank, held_out) < 0.05
    assert copying.near_probability(round(least * fakes) - 1, fakes, rank, held_out) >= 0.05


def test_c_t_is_the_mann_whitney_test_of_scipy() -> None:
    rng = np.random.default_rng(1)
    for shift in (-1.0, 0.0, 0.5):
        first, second = rng.normal(shift, 1, 30).round(1), rng.normal(0, 1, 25).round(1)
        z, p = copying.mann_whitney(first, second)
        theirs = stats.mannwhitneyu(
            first, second, alternative="less", method="asymptotic", use_continuity=False
        )
        assert p == pytest.approx(theirs.pvalue)
        assert z == pytest.approx(stats.norm.ppf(theirs.pvalue), abs=1e-6)
    assert copying.mann_whitney(np.ones(4), np.ones(3)) == (0.0, 1.0)
