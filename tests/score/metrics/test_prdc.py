"""Precision, recall, density and coverage on scenes that anyone can predict."""

import numpy as np
import pytest
import torch

from hzsynth.score.metrics.prdc import precision_recall_density_coverage, prepared_prdc
from tests.score.metrics.clouds import gaussian


def test_precision_and_recall_equal_torch_fidelity() -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    x, y = gaussian(34, 40, dim=16), gaussian(35, 30, dim=16, shift=0.3)
    prc = prc_features_to_metric(y, x, prc_neighborhood=3, verbose=False)
    ours = precision_recall_density_coverage(x, y)
    assert ours["precision"] == pytest.approx(prc["precision"], rel=1e-3)
    assert ours["recall"] == pytest.approx(prc["recall"], rel=1e-3)


def test_a_copy_covers_everything() -> None:
    real = gaussian(9, 40)
    values = precision_recall_density_coverage(real, real.clone())
    assert values["precision"] == values["recall"] == values["coverage"] == 1.0
    # Each copy lies within the 5-neighbourhood of itself and of about 5 others.
    assert values["density"] == pytest.approx(1.0, abs=0.1)


def test_a_collapsed_generator_is_precise_and_covers_nothing() -> None:
    real = gaussian(10, 60)
    collapsed = real[:1] + gaussian(11, 60) * 1e-3
    values = precision_recall_density_coverage(real, collapsed)
    assert values["precision"] == 1.0
    # Only the photograph that was copied may lie among the fakes.
    assert values["recall"] <= 1 / 60 + 1e-6
    assert values["coverage"] < 0.25


def test_far_away_fakes_have_no_fidelity() -> None:
    values = precision_recall_density_coverage(gaussian(12, 30), gaussian(13, 30, shift=50.0))
    assert set(values.values()) == {0.0}


def test_density_and_coverage_equal_plain_counting() -> None:
    real, fake = gaussian(14, 12, dim=2), gaussian(15, 9, dim=2)
    inside = np.zeros((12, 9), dtype=bool)
    for i in range(12):
        distances = sorted(float((real[i] - real[j]).norm()) for j in range(12) if j != i)
        inside[i] = [float((real[i] - f).norm()) < distances[4] for f in fake]
    values = precision_recall_density_coverage(real, fake)
    assert values["density"] == pytest.approx(inside.sum() / (5 * 9))
    assert values["coverage"] == pytest.approx(inside.any(axis=1).mean())


def test_prepared_distances_give_the_same_figures() -> None:
    real, fake = gaussian(40, 30, dim=12), gaussian(41, 22, dim=12, shift=0.2)
    prepared = prepared_prdc(torch.cat([real, fake]))(torch.arange(30), torch.arange(30, 52))
    for name, value in precision_recall_density_coverage(real, fake).items():
        assert prepared[name] == pytest.approx(value, abs=1e-6), name
