from typing import Any

import numpy as np
import pytest

from hzsynth.classify.deploy.out_of_distribution import (
    FeatureStatistics,
    fit_feature_statistics,
    held_out_quantile,
)
from hzsynth.core.errors import InputError

CLASSES = 3


def features(n: Any, seed: Any, width: Any = 40, shift: Any = 0.0) -> Any:
    """Two informative directions of `width`, three classes."""
    rng = np.random.default_rng(seed)
    classes = np.arange(n) % CLASSES
    values = np.full((n, width), 1.0)
    values[:, 0] += 2.0 * classes
    values[:, 1] += rng.normal(0, 0.5, n)
    values += rng.normal(0, 0.05, values.shape)
    values[:, 5] += shift
    return values, classes


@pytest.fixture
def statistics() -> Any:
    train, classes = features(60, 0)
    return fit_feature_statistics(train, classes, features(60, 1)[0])


def test_ordinary_photographs_are_seldom_warned_of_and_strange_ones_are(statistics: Any) -> None:
    ordinary = statistics.relative_distances(features(1000, 2)[0]) > 1
    assert 0.005 < ordinary.mean() < 0.12
    assert (statistics.relative_distances(features(50, 3, shift=2.0)[0]) > 1).all()


def test_distance_is_that_of_the_full_shrunk_covariance() -> None:
    from sklearn.covariance import ledoit_wolf

    train, classes = features(60, 0)
    new = features(9, 4)[0]
    statistics = fit_feature_statistics(train, classes, features(20, 1)[0])
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    means = np.stack([unit[classes == c].mean(axis=0) for c in range(CLASSES)])
    covariance, _ = ledoit_wolf(unit - means[classes], assume_centered=True)
    inverse = np.linalg.inv(covariance)
    asked = new / np.linalg.norm(new, axis=1, keepdims=True)
    expected = [min((a - m) @ inverse @ (a - m) for m in means) for a in asked]
    np.testing.assert_allclose(statistics.distances(new), expected, rtol=0.05)


def test_brightness_of_all_features_does_not_count(statistics: Any) -> None:
    new = features(5, 6)[0]
    np.testing.assert_allclose(statistics.distances(3 * new), statistics.distances(new))


def test_fewer_photographs_than_features_are_enough() -> None:
    train, classes = features(21, 0, width=500)
    statistics = fit_feature_statistics(train, classes, features(30, 1, width=500)[0])
    assert (statistics.relative_distances(features(9, 2, width=500, shift=3.0)[0]) > 1).all()


def test_statistics_survive_their_file(statistics: Any) -> None:
    again = FeatureStatistics.from_bytes(statistics.to_bytes(), "file")
    new = features(20, 7)[0]
    np.testing.assert_allclose(
        again.relative_distances(new), statistics.relative_distances(new), rtol=1e-3
    )
    assert (again.held_out, again.training) == (60, 60)


def test_a_damaged_file_is_refused(statistics: Any) -> None:
    for data in (b"", b"nothing", statistics.to_bytes()[:200]):
        with pytest.raises(InputError, match="'file'"):
            FeatureStatistics.from_bytes(data, "file")


def test_quantile_is_the_conformal_one() -> None:
    assert held_out_quantile(np.arange(1, 20)) == 19  # ceil(20 * .95)
    assert held_out_quantile(np.arange(1, 100)) == 95  # ceil(100 * .95)
    assert held_out_quantile([3, 1, 2]) == 3


def test_too_few_photographs_are_refused() -> None:
    train, classes = features(60, 0)
    with pytest.raises(InputError, match="not 60 and 3"):
        fit_feature_statistics(train, classes, train[:3])
    with pytest.raises(InputError, match="not 4 and 60"):
        fit_feature_statistics(train[:4], classes[:4], train)
    with pytest.raises(InputError, match="do not vary"):
        fit_feature_statistics(np.ones((60, 4)), classes, train)


def test_features_of_another_network_are_refused(statistics: Any) -> None:
    with pytest.raises(InputError, match="N x 40"):
        statistics.distances(np.ones((2, 7)))
