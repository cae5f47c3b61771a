"""The Frechet distance against closed forms and torch-fidelity."""

from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.score.floors import random_parts
from hzsynth.score.metrics.frechet import frechet_distance
from tests.score.metrics.clouds import gaussian


def test_frechet_distance_of_gaussians_tends_to_the_closed_form() -> None:
    x, y = gaussian(4, 200_000, dim=3), gaussian(5, 200_000, dim=3, shift=1.0, scale=2.0)
    # |m|^2 + sum (s1 - s2)^2 for commuting covariances.
    assert frechet_distance(x, y) == pytest.approx(3 * 1.0 + 3 * 1.0, rel=0.02)


@pytest.mark.parametrize(("n", "m"), [(60, 40), (9, 40), (9, 7)])
def test_frechet_distance_equals_torch_fidelity(n: int, m: int) -> None:
    # Here, since torchvision is importable only after hzsynth.core.
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    x, y = gaussian(6, n, dim=12).double(), gaussian(7, m, dim=12, shift=0.3).double()
    statistics = [fid_features_to_statistics(f) for f in (x, y)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)
    assert frechet_distance(x, y) == pytest.approx(expected["frechet_inception_distance"], rel=1e-3)


def with_moments(seed: Any, count: Any, mean: Any, deviations: Any) -> Any:
    """Features whose mean and covariance (diagonal) are exactly the given ones."""
    draws = np.random.default_rng(seed).normal(size=(count, len(mean)))
    centred = draws - draws.mean(axis=0)
    orthogonal = np.linalg.qr(centred)[0] * np.sqrt(count - 1)
    return torch.from_numpy(orthogonal * np.asarray(deviations) + np.asarray(mean))


@pytest.mark.parametrize(("n", "m"), [(50, 80), (7, 9)])
def test_frechet_distance_of_exact_moments_is_the_closed_form(n: int, m: int) -> None:
    x = with_moments(30, n, [0, 1, 2, 0], [1.0, 2.0, 0.5, 3.0])
    y = with_moments(31, m, [1, 1, 0, 0], [2.0, 2.0, 1.5, 1.0])
    assert frechet_distance(x, y) == pytest.approx(1 + 4 + 1 + 0 + 1 + 4, rel=1e-9)


def test_a_feature_that_never_varies_does_no_harm() -> None:
    x, y = gaussian(32, 40, dim=5), gaussian(33, 50, dim=5, shift=0.4)
    expected = frechet_distance(x, y)
    padded = [torch.cat([f, torch.full((len(f), 1), 7.0)], dim=1) for f in (x, y)]
    assert frechet_distance(*padded) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_grows_as_the_sets_shrink() -> None:
    few, many = gaussian(8, 60, dim=64), gaussian(8, 2000, dim=64)
    small = [frechet_distance(few[a], few[b]) for a, b in random_parts(60, 15, 5, 0)]
    large = [frechet_distance(many[a], many[b]) for a, b in random_parts(2000, 500, 5, 0)]
    assert np.mean(small) > 10 * np.mean(large)
