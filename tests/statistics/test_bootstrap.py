from typing import Any

import numpy as np
import pytest
from scipy import stats

from hzsynth.statistics.bootstrap import (
    bootstrap_weights,
    dirichlet_confusions,
    replicated_metrics,
)
from hzsynth.statistics.classification import METRICS
from hzsynth.statistics.intervals import percentile_interval
from tests.statistics.scenes import two_classes


def drawn(truth: Any, groups: Any, seed: Any = 0, replicates: Any = 600) -> Any:
    generator = np.random.default_rng(seed)
    return np.concatenate(list(bootstrap_weights(truth, groups, generator, replicates)))


def test_every_replicate_keeps_the_number_of_each_class() -> None:
    truth = np.array([0] * 5 + [1] * 9 + [2])
    weights = drawn(truth, [f"patient {i}" for i in range(15)])
    assert weights.shape == (600, 15)
    for label, count in enumerate((5, 9, 1)):
        assert (weights[:, truth == label].sum(axis=1) == count).all()
    # A binomial count of 9 draws with probability 1/9: mean 1, variance 8/9.
    assert weights[:, 5:14].mean() == pytest.approx(1)
    assert weights[:, 5:14].var() == pytest.approx(8 / 9, rel=0.05)


def test_a_patient_comes_with_all_photographs_and_no_class_is_lost() -> None:
    truth = [0, 0, 0, 1, 1, 0, 1]
    weights = drawn(truth, ["a", "a", "b", "c", "c", "d", "d"])
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, 5] == weights[:, 6]).all()
    assert len(np.unique(weights[:, 0])) == 3
    assert (weights[:, [0, 1, 2, 5]].sum(axis=1) > 0).all()


def test_draws_follow_the_generator() -> None:
    truth, groups = [0, 0, 1, 1, 1], list("abcde")
    assert (drawn(truth, groups) == drawn(truth, groups)).all()
    assert (drawn(truth, groups) != drawn(truth, groups, seed=1)).any()


def test_bootstrap_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(4).normal(0, 1, 200)
    weights = drawn(np.zeros(200, int), [str(i) for i in range(200)], replicates=2000)
    low, high = percentile_interval(weights @ values / 200)
    error = values.std() / np.sqrt(200)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_dirichlet_rows_have_the_posterior_mean_and_spread() -> None:
    counts = np.array([[9, 1, 0], [0, 4, 0], [0, 0, 0]])
    plausible = dirichlet_confusions(counts, np.random.default_rng(5), 20000)
    np.testing.assert_allclose(plausible.sum(axis=2), np.tile([10, 4, 0], (20000, 1)), atol=1e-9)
    expected = (counts[0] + 1 / 3) / 11
    np.testing.assert_allclose(plausible[:, 0].mean(axis=0) / 10, expected, atol=0.005)
    # Each cell is a beta variable: the same quantile by another road.
    beta = stats.beta(4 + 1 / 3, 2 / 3)
    assert np.quantile(plausible[:, 1, 1] / 4, 0.1) == pytest.approx(beta.ppf(0.1), abs=0.01)


def test_replicates_of_a_recall_vary_like_a_binomial_share() -> None:
    target = np.arange(80) < 40
    answers = two_classes(target, np.where(np.arange(80) % 40 < 30, target, ~target) * 1.0)
    found = replicated_metrics(answers, np.random.default_rng(0), 2000)
    assert set(found) == set(METRICS)
    assert found["recall_target"].mean() == pytest.approx(0.75, abs=0.01)
    assert found["recall_target"].var() == pytest.approx(0.75 * 0.25 / 40, rel=0.1)
