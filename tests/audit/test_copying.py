"""Nearness to training photographs: closed forms and simulations."""

import numpy as np
import pytest
from scipy import stats

from hzsynth.audit import copying
from hzsynth.statistics.orders import near_probabilities


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


def test_c_t_weighs_the_cells_as_published() -> None:
    rng = np.random.default_rng(2)
    fake, held_out = rng.normal(size=90), rng.normal(size=40)
    fake_cells, held_out_cells = np.arange(90) % 3, np.repeat([0, 1], [30, 10])
    found = copying.c_t(fake, held_out, fake_cells, held_out_cells)
    scores = [
        copying.mann_whitney(fake[fake_cells == cell], held_out[held_out_cells == cell])[0]
        for cell in (0, 1)
    ]
    assert found.value == pytest.approx(0.75 * scores[0] + 0.25 * scores[1])
    assert found.z == pytest.approx(found.value / np.sqrt(0.75**2 + 0.25**2))
    assert found.cells == 2
    # Copies in a dense cell hide among the distances of a loose one when all are ranked together.
    spread = np.where(fake_cells == 0, 1.0, 100.0)
    near = np.abs(fake) * spread * np.where(fake_cells == 0, 0.2, 1.0)
    others = np.abs(held_out) * np.where(held_out_cells == 0, 1.0, 100.0)
    assert copying.c_t(near, others, fake_cells, held_out_cells).z < -3
    assert copying.c_t(near, others).z > -3


def test_images_are_compared_within_their_class_however_the_classes_are_mixed() -> None:
    rng, alarms, blind = np.random.default_rng(4), 0, 0
    for _ in range(200):
        # A tight class and a loose one: four of five images, but one of five photographs, are of the tight one.
        fake_classes, held_out_classes = np.repeat([0, 1], [80, 20]), np.repeat([0, 1], [6, 24])
        fake, held_out = (
            rng.uniform(size=len(classes)) + 5 * classes
            for classes in (fake_classes, held_out_classes)
        )
        sides = (fake, held_out, np.ones(3), np.zeros(100, np.int64), 0.05, 0.005)
        found = copying.nearness(*sides, classes=(fake_classes, held_out_classes))
        alarms += found.p_near < 0.05 or found.z_c_t < -3
        pooled = copying.nearness(*sides)
        blind += pooled.z_c_t < -3
    assert alarms <= 20
    assert blind == 200
    half = np.where(rng.random(100) < 0.5, 0.0, fake)
    found = copying.nearness(half, *sides[1:], classes=(fake_classes, held_out_classes))
    assert found.p_near < 0.005
    assert found.thresholds[0] < 1 < found.thresholds[1]


def test_the_chances_of_classes_are_those_of_random_orders() -> None:
    rng = np.random.default_rng(5)
    strata = ((12, 2, 7), (5, 1, 4))
    counts = np.zeros(20_000, dtype=np.int64)
    for fakes, rank, held_out in strata:
        kinds = np.tile(np.r_[np.zeros(fakes), np.ones(held_out)], (len(counts), 1))
        order = rng.permuted(kinds, axis=1)
        counts += ((order.cumsum(axis=1) < rank) & (order == 0)).sum(axis=1)
    chances = near_probabilities(strata)
    assert len(chances) == 18
    for near in range(18):
        assert chances[near] == pytest.approx(np.mean(counts >= near), abs=0.012)


def test_ranks_of_classes_are_added_up() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=30), rng.normal(size=20)
    classes = np.arange(30) % 2, np.arange(20) % 2
    z, p = copying.mann_whitney(first, second, *classes)
    shifted = first + 9 * classes[0], second + 9 * classes[1]
    assert copying.mann_whitney(*shifted, *classes) == pytest.approx((z, p))
    above, variance = 0.0, 0.0
    for number in (0, 1):
        one, other = first[classes[0] == number], second[classes[1] == number]
        statistic = stats.mannwhitneyu(one, other).statistic
        above += statistic - len(one) * len(other) / 2
        variance += len(one) * len(other) * (len(one) + len(other) + 1) / 12
    assert z == pytest.approx(above / np.sqrt(variance))
