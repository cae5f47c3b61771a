"""KID, Frechet distance, neighbourhood figures and Vendi score against independent answers."""

import numpy as np
import pytest
import torch

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import derive_seed
from hzsynth.score import fidelity
from hzsynth.score.fidelity import (
    default_subset_size,
    floor_of,
    frechet_distance,
    kernel_distance,
    kernel_distance_of_all,
    kernel_floor,
    precision_recall_density_coverage,
    squared_mmd,
    vendi_score,
)


def gaussian(seed, count, dim=8, shift=0.0, scale=1.0):
    draws = np.random.default_rng(seed).normal(shift, scale, (count, dim))
    return torch.from_numpy(draws).float()


def plain_squared_mmd(x, y):
    """The unbiased estimator, written as its double sums (Gretton et al. 2012, lemma 6)."""

    def kernel(a, b):
        return (float(a @ b) / len(a) + 1.0) ** 3

    m = len(x)
    within = sum(
        kernel(s[i], s[j]) for s in (x, y) for i in range(m) for j in range(m) if i != j
    ) / (m * (m - 1))
    across = sum(kernel(a, b) for a in x for b in y) / (m * m)
    return within - 2 * across


def test_the_distance_of_all_images_equals_the_double_sums_and_its_jackknife():
    generator = torch.Generator().manual_seed(3)
    real = torch.randn(7, 5, generator=generator)
    fake = torch.randn(11, 5, generator=generator) + 0.3

    def plain(x, y):
        def kernel(a, b):
            return (a @ b.T / 5 + 1) ** 3

        x, y = x.double().numpy(), y.double().numpy()
        n, m = len(x), len(y)
        within = (kernel(x, x).sum() - np.trace(kernel(x, x))) / (n * (n - 1))
        other = (kernel(y, y).sum() - np.trace(kernel(y, y))) / (m * (m - 1))
        return within + other - 2 * kernel(x, y).mean()

    value, error = kernel_distance_of_all(real, fake)
    assert value == pytest.approx(plain(real, fake), rel=1e-5)
    left_out = [plain(real, fake[torch.arange(11) != i]) for i in range(11)]
    expected = np.sqrt(10 / 11 * ((left_out - np.mean(left_out)) ** 2).sum())
    assert error == pytest.approx(expected, rel=1e-4)
    with pytest.raises(InputError, match="two reals and three fakes"):
        kernel_distance_of_all(real[:1], fake)


def test_squared_mmd_equals_the_double_sums():
    x, y = gaussian(0, 9), gaussian(1, 9, shift=0.5)
    expected = plain_squared_mmd(x.double().numpy(), y.double().numpy())
    assert squared_mmd(x, y) == pytest.approx(expected, rel=1e-4)


def test_kid_is_unbiased_mean_over_subsets():
    x, y = gaussian(2, 12), gaussian(3, 14, shift=0.7)
    value, spread = kernel_distance(x, y, subset_size=6, subsets=400)
    # Over many draws the subsets' mean is the U-statistic of the two whole sets.
    kernel_xx = (x @ x.T / 8 + 1) ** 3
    kernel_yy = (y @ y.T / 8 + 1) ** 3
    whole = (
        (kernel_xx.sum() - kernel_xx.trace()) / (12 * 11)
        + (kernel_yy.sum() - kernel_yy.trace()) / (14 * 13)
        - 2 * ((x @ y.T / 8 + 1) ** 3).mean()
    )
    assert value == pytest.approx(float(whole), abs=4 * spread / 20)


def test_kid_of_equal_seeds_is_equal_and_of_others_differs():
    x, y = gaussian(2, 12), gaussian(3, 14)
    first = kernel_distance(x, y, subset_size=6, seed=1)
    assert first == kernel_distance(x, y, subset_size=6, seed=1)
    assert first != kernel_distance(x, y, subset_size=6, seed=2)


@pytest.mark.parametrize("size", [1, 10, 11])
def test_a_subset_of_everything_is_refused(size):
    with pytest.raises(InputError, match="from 2 to 9"):
        kernel_distance(gaussian(0, 10), gaussian(1, 12), subset_size=size)


def test_default_subset_is_half_of_the_smaller_set_and_bounded():
    assert default_subset_size(31, 100) == 15
    assert default_subset_size(50_000, 50_000) == 1000


def test_frechet_distance_of_gaussians_tends_to_the_closed_form():
    x, y = gaussian(4, 200_000, dim=3), gaussian(5, 200_000, dim=3, shift=1.0, scale=2.0)
    # |m|^2 + sum (s1 - s2)^2 for commuting covariances.
    assert frechet_distance(x, y) == pytest.approx(3 * 1.0 + 3 * 1.0, rel=0.02)


@pytest.mark.parametrize(("n", "m"), [(60, 40), (9, 40), (9, 7)])
def test_frechet_distance_equals_torch_fidelity(n, m):
    # Here, since torchvision is importable only after hzsynth.core.
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    x, y = gaussian(6, n, dim=12).double(), gaussian(7, m, dim=12, shift=0.3).double()
    statistics = [fid_features_to_statistics(f) for f in (x, y)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)
    assert frechet_distance(x, y) == pytest.approx(expected["frechet_inception_distance"], rel=1e-3)


def with_moments(seed, count, mean, deviations):
    """Features whose mean and covariance (diagonal) are exactly the given ones."""
    draws = np.random.default_rng(seed).normal(size=(count, len(mean)))
    centred = draws - draws.mean(axis=0)
    orthogonal = np.linalg.qr(centred)[0] * np.sqrt(count - 1)
    return torch.from_numpy(orthogonal * np.asarray(deviations) + np.asarray(mean))


@pytest.mark.parametrize(("n", "m"), [(50, 80), (7, 9)])
def test_frechet_distance_of_exact_moments_is_the_closed_form(n, m):
    x = with_moments(30, n, [0, 1, 2, 0], [1.0, 2.0, 0.5, 3.0])
    y = with_moments(31, m, [1, 1, 0, 0], [2.0, 2.0, 1.5, 1.0])
    assert frechet_distance(x, y) == pytest.approx(1 + 4 + 1 + 0 + 1 + 4, rel=1e-9)


def test_a_feature_that_never_varies_does_no_harm():
    x, y = gaussian(32, 40, dim=5), gaussian(33, 50, dim=5, shift=0.4)
    expected = frechet_distance(x, y)
    padded = [torch.cat([f, torch.full((len(f), 1), 7.0)], dim=1) for f in (x, y)]
    assert frechet_distance(*padded) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("largest", [8000, 10])
def test_kid_and_precision_equal_torch_fidelity(monkeypatch, largest):
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    monkeypatch.setattr(fidelity, "_LARGEST_TABLE", largest)
    x, y = gaussian(34, 40, dim=16), gaussian(35, 30, dim=16, shift=0.3)
    theirs = kid_features_to_metric(
        x,
        y,
        kid_subsets=20,
        kid_subset_size=12,
        rng_seed=derive_seed(3, "kid") % 2**32,
        verbose=False,
    )
    value, spread = kernel_distance(x, y, subset_size=12, subsets=20, seed=3)
    assert value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-5)
    assert spread == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-5)
    prc = prc_features_to_metric(y, x, prc_neighborhood=3, verbose=False)
    ours = precision_recall_density_coverage(x, y)
    assert ours["precision"] == pytest.approx(prc["precision"], rel=1e-3)
    assert ours["recall"] == pytest.approx(prc["recall"], rel=1e-3)


def test_the_floor_of_kid_is_that_of_the_parts():
    real = gaussian(36, 40)
    quick = kernel_floor(real, part=15, repeats=6, seed=2)
    plain = floor_of(squared_mmd, real, part=15, repeats=6, seed=2)
    assert quick == pytest.approx(plain, rel=1e-4, abs=1e-6)


def test_frechet_distance_grows_as_the_sets_shrink():
    small = floor_of(frechet_distance, gaussian(8, 60, dim=64), part=15, repeats=5)[0]
    large = floor_of(frechet_distance, gaussian(8, 2000, dim=64), part=500, repeats=5)[0]
    assert small > 10 * large


def test_a_copy_covers_everything():
    real = gaussian(9, 40)
    values = precision_recall_density_coverage(real, real.clone())
    assert values["precision"] == values["recall"] == values["coverage"] == 1.0
    # Each copy lies within the 5-neighbourhood of itself and of about 5 others.
    assert values["density"] == pytest.approx(1.0, abs=0.1)


def test_a_collapsed_generator_is_precise_and_covers_nothing():
    real = gaussian(10, 60)
    collapsed = real[:1] + gaussian(11, 60) * 1e-3
    values = precision_recall_density_coverage(real, collapsed)
    assert values["precision"] == 1.0
    # Only the photograph that was copied may lie among the fakes.
    assert values["recall"] <= 1 / 60 + 1e-6
    assert values["coverage"] < 0.25


def test_far_away_fakes_have_no_fidelity():
    values = precision_recall_density_coverage(gaussian(12, 30), gaussian(13, 30, shift=50.0))
    assert set(values.values()) == {0.0}


def test_density_and_coverage_equal_plain_counting():
    real, fake = gaussian(14, 12, dim=2), gaussian(15, 9, dim=2)
    inside = np.zeros((12, 9), dtype=bool)
    for i in range(12):
        distances = sorted(float((real[i] - real[j]).norm()) for j in range(12) if j != i)
        inside[i] = [float((real[i] - f).norm()) < distances[4] for f in fake]
    values = precision_recall_density_coverage(real, fake)
    assert values["density"] == pytest.approx(inside.sum() / (5 * 9))
    assert values["coverage"] == pytest.approx(inside.any(axis=1).mean())


def test_vendi_score_counts_different_images():
    assert vendi_score(torch.eye(6, 10)) == pytest.approx(6.0)
    assert vendi_score(torch.ones(6, 10)) == pytest.approx(1.0)
    assert vendi_score(torch.eye(3).repeat(20, 1)) == pytest.approx(3.0)


def test_floor_of_kid_is_near_zero():
    value, spread = floor_of(squared_mmd, gaussian(16, 80), part=40)
    assert abs(value) < spread
