"""Nearness to training photographs: closed forms and simulations."""

import numpy as np
import pytest
from scipy import stats

from hzsynth.audit import copying


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
