"""KID against its double sums, torch-fidelity and its own jackknife."""

from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import derive_seed
from hzsynth.score.floors import mean_and_spread, random_parts
from hzsynth.score.metrics import kid as kid_module
from hzsynth.score.metrics.kid import (
    default_subset_size,
    kid,
    kid_floor,
    kid_of_all,
    prepared_kid,
    squared_mmd,
)
from tests.score.metrics.clouds import gaussian


def plain_squared_mmd(x: Any, y: Any) -> Any:
    """The unbiased estimator, written as its double sums (Gretton et al. 2012, lemma 6)."""

    def kernel(a: Any, b: Any) -> Any:
        return (float(a @ b) / len(a) + 1.0) ** 3

    m = len(x)
    within = sum(
        kernel(s[i], s[j]) for s in (x, y) for i in range(m) for j in range(m) if i != j
    ) / (m * (m - 1))
    across = sum(kernel(a, b) for a in x for b in y) / (m * m)
    return within - 2 * across


def test_the_distance_of_all_images_equals_the_double_sums_and_its_jackknife() -> None:
    generator = torch.Generator().manual_seed(3)
    real = torch.randn(7, 5, generator=generator)
    fake = torch.randn(11, 5, generator=generator) + 0.3

    def plain(x: Any, y: Any) -> Any:
        def kernel(a: Any, b: Any) -> Any:
            return (a @ b.T / 5 + 1) ** 3

        x, y = x.double().numpy(), y.double().numpy()
        n, m = len(x), len(y)
        within = (kernel(x, x).sum() - np.trace(kernel(x, x))) / (n * (n - 1))
        other = (kernel(y, y).sum() - np.trace(kernel(y, y))) / (m * (m - 1))
        return within + other - 2 * kernel(x, y).mean()

    found = kid_of_all(real, fake)
    assert found.value == pytest.approx(plain(real, fake), rel=1e-5)

    def variance(left_out: Any) -> Any:
        n = len(left_out)
        return (n - 1) / n * ((left_out - np.mean(left_out)) ** 2).sum()

    fakes = variance([plain(real, fake[torch.arange(11) != i]) for i in range(11)])
    count = len(real)
    reals = variance([plain(real[torch.arange(count) != i], fake) for i in range(count)])
    assert found.error_of_fakes == pytest.approx(np.sqrt(fakes), rel=1e-4)
    assert found.error == pytest.approx(np.sqrt(fakes + reals), rel=1e-4)
    two = kid_of_all(real[:2], fake)
    assert two.error == two.error_of_fakes
    with pytest.raises(InputError, match="two reals and three fakes"):
        kid_of_all(real[:1], fake)


def test_squared_mmd_equals_the_double_sums() -> None:
    x, y = gaussian(0, 9), gaussian(1, 9, shift=0.5)
    expected = plain_squared_mmd(x.double().numpy(), y.double().numpy())
    assert squared_mmd(x, y) == pytest.approx(expected, rel=1e-4)


def test_kid_is_unbiased_mean_over_subsets() -> None:
    x, y = gaussian(2, 12), gaussian(3, 14, shift=0.7)
    value, spread = kid(x, y, subset_size=6, subsets=400)
    # Over many draws the subsets' mean is the U-statistic of the two whole sets.
    kernel_xx = (x @ x.T / 8 + 1) ** 3
    kernel_yy = (y @ y.T / 8 + 1) ** 3
    whole = (
        (kernel_xx.sum() - kernel_xx.trace()) / (12 * 11)
        + (kernel_yy.sum() - kernel_yy.trace()) / (14 * 13)
        - 2 * ((x @ y.T / 8 + 1) ** 3).mean()
    )
    assert value == pytest.approx(float(whole), abs=4 * spread / 20)


def test_kid_of_equal_seeds_is_equal_and_of_others_differs() -> None:
    x, y = gaussian(2, 12), gaussian(3, 14)
    first = kid(x, y, subset_size=6, seed=1)
    assert first == kid(x, y, subset_size=6, seed=1)
    assert first != kid(x, y, subset_size=6, seed=2)


@pytest.mark.parametrize("size", [1, 10, 11])
def test_a_subset_of_everything_is_refused(size: int) -> None:
    with pytest.raises(InputError, match="from 2 to 9"):
        kid(gaussian(0, 10), gaussian(1, 12), subset_size=size)


def test_default_subset_is_half_of_the_smaller_set_and_bounded() -> None:
    assert default_subset_size(31, 100) == 15
    assert default_subset_size(50_000, 50_000) == 1000


@pytest.mark.parametrize("largest", [8000, 10])
def test_kid_equals_torch_fidelity(monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    # Here, since torchvision is importable only after hzsynth.core.
    from torch_fidelity.metric_kid import kid_features_to_metric

    monkeypatch.setattr(kid_module, "_LARGEST_TABLE", largest)
    x, y = gaussian(34, 40, dim=16), gaussian(35, 30, dim=16, shift=0.3)
    theirs = kid_features_to_metric(
        x,
        y,
        kid_subsets=20,
        kid_subset_size=12,
        rng_seed=derive_seed(3, "kid") % 2**32,
        verbose=False,
    )
    value, spread = kid(x, y, subset_size=12, subsets=20, seed=3)
    assert value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-5)
    assert spread == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-5)


def test_the_floor_of_kid_is_that_of_the_parts() -> None:
    real = gaussian(36, 40)
    quick = kid_floor(real, part=15, repeats=6, seed=2)
    parts = random_parts(40, 15, 6, 2)
    plain = mean_and_spread([squared_mmd(real[a], real[b]) for a, b in parts])
    assert quick == pytest.approx(plain, rel=1e-4, abs=1e-6)


def test_prepared_kernels_give_the_distance_of_all_images() -> None:
    real, fake = gaussian(37, 12), gaussian(38, 17, shift=0.4)
    formula = prepared_kid(torch.cat([real, fake]))
    found = formula(torch.arange(12), torch.arange(12, 29))["kid"]
    assert found == pytest.approx(kid_of_all(real, fake).value, rel=1e-5)


def test_floor_of_kid_is_near_zero() -> None:
    value, spread = kid_floor(gaussian(16, 80), part=40, repeats=20)
    assert abs(value) < spread
