"""The Frechet distance at infinitely many images, where the answer is known."""

from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.core.errors import InputError
from hzsynth.score.metric import NotIdentifiableError
from hzsynth.score.metrics.frechet import frechet_distance
from hzsynth.score.metrics.frechet_infinity import (
    fit_line,
    frechet_distance_at_infinity,
)


def gaussian(seed: Any, count: Any, dim: Any, shift: Any = 0.0) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, 1, (count, dim)))


def test_the_bias_of_equal_gaussians_is_removed() -> None:
    x, y = gaussian(0, 600, 48), gaussian(1, 600, 48)
    line = frechet_distance_at_infinity(x, y)
    assert frechet_distance(x, y) > 1.5
    assert abs(line.at_infinity) < 0.15 * frechet_distance(x, y)
    assert abs(line.at_infinity) < 4 * line.standard_error + 0.1


def test_a_true_distance_stays() -> None:
    # |shift|^2 over 16 dimensions.
    x, y = gaussian(2, 900, 16), gaussian(3, 900, 16, shift=0.5)
    assert frechet_distance_at_infinity(x, y).at_infinity == pytest.approx(4.0, abs=0.6)


def test_conditions_come_with_the_line() -> None:
    line = frechet_distance_at_infinity(gaussian(4, 150, 6), gaussian(5, 120, 6), seed=3)
    assert (line.sizes[0], line.sizes[-1]) == (40, 120)
    assert len(line.sizes) == len(line.distances) == 15
    assert line == frechet_distance_at_infinity(gaussian(4, 150, 6), gaussian(5, 120, 6), seed=3)


def test_a_straight_line_is_met_exactly() -> None:
    sizes = (10, 20, 40, 80)
    line = fit_line(sizes, [3.0 + 50.0 / n for n in sizes])
    assert line.at_infinity == pytest.approx(3.0)
    assert line.standard_error == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(InputError, match="three subset sizes"):
        fit_line((10, 20, 20), (1.0, 2.0, 3.0))


def test_too_few_images_are_not_identifiable() -> None:
    with pytest.raises(NotIdentifiableError, match="at least 90 images"):
        frechet_distance_at_infinity(gaussian(6, 31, 8), gaussian(7, 200, 8))


def test_fewer_images_than_dimensions_are_not_identifiable() -> None:
    with pytest.raises(NotIdentifiableError, match="fewer images than the features"):
        frechet_distance_at_infinity(gaussian(8, 200, 200), gaussian(9, 200, 200))


def test_distances_off_the_line_are_not_identifiable() -> None:
    with pytest.raises(NotIdentifiableError, match="does not fall on a line"):
        frechet_distance_at_infinity(gaussian(8, 170, 128), gaussian(9, 170, 128))
