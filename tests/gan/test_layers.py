import math

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch.nn import functional

from hzsynth.gan.layers import (
    EqualizedConv2d,
    EqualizedLinear,
    demodulation,
    downsample,
    fir_filter,
    modulated_conv2d,
    upsample,
)

TAPS = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64.0


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_both_paths_of_the_modulated_convolution_are_equal(up: bool, demodulate: bool) -> None:
    x, weight = seeded(3, 5, 8, 8).requires_grad_(), seeded(7, 5, 3, 3, seed=1).requires_grad_()
    style = seeded(3, 5, seed=2).requires_grad_()
    results = [
        modulated_conv2d(x, weight, style, demodulate=demodulate, up=up, path=path)
        for path in ("shared", "grouped")
    ]
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), (x, weight, style)) for y in results]
    for shared, grouped in zip(*gradients, strict=True):
        torch.testing.assert_close(shared, grouped, atol=1e-3, rtol=1e-4)


def test_modulated_convolution_against_its_definition() -> None:
    x, weight, style = seeded(2, 3, 6, 6), seeded(4, 3, 3, 3, seed=1), seeded(2, 3, seed=2)
    y = modulated_conv2d(x, weight, style)
    for image in range(2):
        kernel = weight * style[image][None, :, None, None]
        kernel = kernel / kernel.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
        expected = functional.conv2d(x[image : image + 1], kernel, padding=1)
        torch.testing.assert_close(y[image : image + 1], expected, atol=1e-5, rtol=1e-5)


def test_upsampling_modulated_convolution_against_scipy() -> None:
    x, weight = seeded(1, 1, 5, 5), seeded(1, 1, 3, 3, seed=1)
    y = modulated_conv2d(x, weight, torch.ones(1, 1), demodulate=False, up=True)[0, 0].numpy()
    spread = np.zeros((9, 9))
    spread[::2, ::2] = x[0, 0].numpy()
    correlated = convolve2d(spread, weight[0, 0].numpy()[::-1, ::-1], mode="full")
    filtered = convolve2d(np.pad(correlated, 1), 4 * TAPS, mode="valid")
    np.testing.assert_allclose(y, filtered, atol=1e-5)


def test_demodulated_outputs_have_unit_variance_for_white_inputs() -> None:
    x, weight, style = seeded(2, 64, 32, 32), seeded(8, 64, 3, 3, seed=1), 5 * seeded(2, 64, seed=2)
    y = modulated_conv2d(x, weight, style)
    assert y[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1.0, abs=0.05)
    assert demodulation(weight, style).shape == (2, 8)


def test_fir_filter_against_scipy() -> None:
    x = seeded(2, 3, 9, 7)
    y = fir_filter(x, 2, 1, gain=3.0).numpy()
    for image in range(2):
        for channel in range(3):
            padded = np.pad(x[image, channel].numpy(), ((2, 1), (2, 1)))
            expected = convolve2d(padded, 3.0 * TAPS, mode="valid")
            np.testing.assert_allclose(y[image, channel], expected, atol=1e-5)


def test_upsample_and_downsample_against_scipy() -> None:
    x = seeded(1, 1, 6, 6)
    spread = np.zeros((12, 12))
    spread[::2, ::2] = x[0, 0].numpy()
    expected = convolve2d(np.pad(spread, ((2, 1), (2, 1))), 4 * TAPS, mode="valid")
    np.testing.assert_allclose(upsample(x)[0, 0].numpy(), expected, atol=1e-5)
    lowpassed = convolve2d(np.pad(x[0, 0].numpy(), 1), TAPS, mode="valid")
    np.testing.assert_allclose(downsample(x)[0, 0].numpy(), lowpassed[::2, ::2], atol=1e-5)


def test_resampling_keeps_a_constant_inside() -> None:
    x = torch.full((1, 2, 8, 8), 0.7)
    torch.testing.assert_close(upsample(x)[:, :, 2:-2, 2:-2], torch.full((1, 2, 12, 12), 0.7))
    torch.testing.assert_close(downsample(x)[:, :, 1:-1, 1:-1], torch.full((1, 2, 2, 2), 0.7))


def test_equalised_linear_divides_by_the_root_of_the_fan_in() -> None:
    layer = EqualizedLinear(16, 4, bias=1.0, rate=0.01)
    x = seeded(3, 16)
    expected = x @ (layer.weight.detach() * 0.01 / 4.0).t() + 1.0
    torch.testing.assert_close(layer(x).detach(), expected, atol=1e-5, rtol=1e-5)
    wide = EqualizedLinear(4096, 256)
    assert wide(seeded(64, 4096)).std().item() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("kernel", "down"), [(1, False), (3, False), (1, True), (3, True)])
def test_equalised_convolution_shapes_and_scale(kernel: int, down: bool) -> None:
    layer = EqualizedConv2d(32, 8, kernel, down=down)
    y = layer(torch.ones(1, 32, 8, 8))
    side = 4 if down else 8
    assert y.shape == (1, 8, side, side)
    # A constant passes the low-pass unchanged, so the inside is the sum of the scaled weights.
    expected = layer.weight.sum(dim=(1, 2, 3)) / math.sqrt(32 * kernel**2)
    torch.testing.assert_close(y[0, :, side // 2, side // 2], expected, atol=1e-4, rtol=1e-4)
