"""The exact law of near images against random orders."""

import numpy as np
import pytest

from hzsynth.statistics import orders


def test_the_probability_of_near_images_is_that_of_random_orders() -> None:
    rng = np.random.default_rng(0)
    fakes, held_out, rank = 12, 7, 2
    counts = []
    for _ in range(20_000):
        order = rng.permutation(np.r_[np.zeros(fakes), np.ones(held_out)])
        counts.append(int((order[: np.flatnonzero(order)[rank - 1]] == 0).sum()))
    for near in (0, 1, 3, 6, 10):
        simulated = float(np.mean(np.array(counts) >= near))
        exact = orders.near_probability(near, fakes, rank, held_out)
        assert exact == pytest.approx(simulated, abs=0.012)
    least = orders.noticeable_share(fakes, rank, held_out, 0.05)
    assert orders.near_probability(round(least * fakes), fakes, rank, held_out) < 0.05
    assert orders.near_probability(round(least * fakes) - 1, fakes, rank, held_out) >= 0.05
