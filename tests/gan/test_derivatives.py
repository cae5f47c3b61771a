"""First and second derivatives of StyleGAN2's parts against differences of their values."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from hzsynth.gan import losses, stylegan2
from hzsynth.gan.latent import draw_latent
from hzsynth.gan.layers import (
    EqualizedConv2d,
    ModulationPath,
    downsample,
    fir_filter,
    modulated_conv2d,
    upsample,
)
from hzsynth.gan.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, minibatch_stddev

# Torch compiles its rules of forward derivatives the old way.
FORWARD_MODE = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def slope_along(
    value: Callable[[], torch.Tensor], weights: list[torch.Tensor], direction: list[torch.Tensor]
) -> float:
    """Central difference of a value along a direction; the networks' values are float32."""
    step = 1e-4
    found = []
    for sign in (1, -1):
        moved = [sign * step * d for d in direction]
        with torch.no_grad():
            torch._foreach_add_(weights, moved)
        found.append(float(value().detach()))
        with torch.no_grad():
            torch._foreach_sub_(weights, moved)
    return (found[0] - found[1]) / (2 * step)


@pytest.mark.parametrize("path", ["shared", "grouped"])
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_modulated_convolution(path: ModulationPath, up: bool, demodulate: bool) -> None:
    arguments = seeded(2, 2, 3, 3), seeded(2, 2, 3, 3, seed=1), seeded(2, 2, seed=2)
    inputs = tuple(a.requires_grad_() for a in arguments)

    def convolve(*given: torch.Tensor) -> torch.Tensor:
        return modulated_conv2d(*given, up=up, demodulate=demodulate, path=path)

    assert torch.autograd.gradcheck(convolve, inputs, fast_mode=True)
    # The path length penalty trains through a gradient.
    assert torch.autograd.gradgradcheck(convolve, inputs, fast_mode=True)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_both_paths_have_the_same_second_derivative(up: bool, demodulate: bool) -> None:
    found = []
    for path in ("shared", "grouped"):
        x, weight = seeded(2, 3, 4, 4).requires_grad_(), seeded(4, 3, 3, 3, seed=1).requires_grad_()
        style = seeded(2, 3, seed=2).requires_grad_()
        y = modulated_conv2d(x, weight, style, up=up, demodulate=demodulate, path=path)
        (first,) = torch.autograd.grad(y.pow(3).sum(), style, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), (x, weight, style)))
    for shared, grouped in zip(*found, strict=True):
        torch.testing.assert_close(shared, grouped, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("resample", [upsample, downsample, lambda x: fir_filter(x, 2, 1)])
def test_resampling(resample: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = seeded(1, 2, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(resample, (x,))
    assert torch.autograd.gradgradcheck(resample, (x,))


def test_upsampling_is_four_times_the_adjoint_of_downsampling() -> None:
    small, large = seeded(2, 3, 4, 6), seeded(2, 3, 8, 12, seed=1)
    torch.testing.assert_close(
        (upsample(small) * large).sum(), 4 * (small * downsample(large)).sum()
    )


@pytest.mark.parametrize("down", [False, True])
def test_equalised_convolution(down: bool) -> None:
    layer = EqualizedConv2d(2, 3, 3, down=down).double()
    assert torch.autograd.gradcheck(layer, (seeded(1, 2, 4, 4).requires_grad_(),))


def test_minibatch_standard_deviation() -> None:
    # It computes in float32, so the differences are coarse.
    x = seeded(4, 2, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(minibatch_stddev, (x,), eps=1e-3, atol=1e-3)


@pytest.fixture
def smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks without kinks: at a kink of the leaky ReLU a slope jumps and has no derivative."""
    monkeypatch.setattr(stylegan2, "leaky_relu", functional.silu)


@FORWARD_MODE
@pytest.mark.usefixtures("smooth")
def test_r1_of_the_discriminator() -> None:
    torch.manual_seed(0)
    network = StyleGAN2Discriminator(16, 0.05).double()
    images = seeded(3, 3, 16, 16).requires_grad_()
    (gradient,) = torch.autograd.grad(network((images,)).sum(), images)
    for seed in range(4):
        direction = seeded(3, 3, 16, 16, seed=10 + seed)
        along = torch.func.jvp(lambda x: network((x,)).sum(), (images.detach(),), (direction,))[1]
        assert (gradient * direction).sum().item() == pytest.approx(along.item(), rel=1e-4)

    def penalty() -> torch.Tensor:
        return losses.r1_penalty(network((images,)), images)

    expected = gradient.square().sum(dim=(1, 2, 3)).mean()
    assert penalty().item() == pytest.approx(expected.item(), rel=1e-6)
    check_what_it_teaches(penalty, list(network.parameters()))


@FORWARD_MODE
@pytest.mark.usefixtures("smooth")
def test_path_lengths_of_the_generator() -> None:
    torch.manual_seed(0)
    network = StyleGAN2Generator(16, 0.05).double()
    latent = draw_latent(2, network.latent_width, network.noise_sizes, torch.Generator())
    noise = tuple(n.double() for n in latent.noise)
    w = network.codes(latent.z.double()).detach().clone().requires_grad_()
    direction = seeded(2, 3, 16, 16, seed=7)

    def projected(given: torch.Tensor) -> torch.Tensor:
        return (network.synthesise(given, noise) * direction).sum() / 16.0

    (gradient,) = torch.autograd.grad(projected(w), w)
    for seed in range(4):
        step = seeded(*w.shape, seed=10 + seed)
        along = torch.func.jvp(projected, (w.detach(),), (step,))[1]
        assert (gradient * step).sum().item() == pytest.approx(along.item(), rel=1e-4)

    def lengths() -> torch.Tensor:
        return losses.path_lengths(network.synthesise(w, noise), w, direction)

    def penalty() -> torch.Tensor:
        return losses.path_length_penalty(lengths(), torch.tensor(0.1, dtype=w.dtype), decay=0.0)[0]

    expected = gradient.square().sum(dim=2).mean(dim=1).sqrt()
    torch.testing.assert_close(lengths().detach(), expected, rtol=1e-6, atol=0)
    check_what_it_teaches(penalty, list(network.convolutions.parameters()))


def check_what_it_teaches(penalty: Callable[[], torch.Tensor], weights: list[torch.Tensor]) -> None:
    """The derivative of a penalty that is itself made of derivatives, along a random direction."""
    direction = [seeded(*w.shape, seed=n) for n, w in enumerate(weights)]
    gradients = torch.autograd.grad(penalty(), weights, allow_unused=True)
    pairs = zip(gradients, direction, strict=True)
    along = sum(float((g * d).sum()) for g, d in pairs if g is not None)
    assert along == pytest.approx(slope_along(penalty, weights, direction), rel=1e-2)
