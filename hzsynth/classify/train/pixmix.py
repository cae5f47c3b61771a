"""PixMix (Hendrycks et al. 2022, arXiv 2112.05135) with plasma fractals for its collection of pictures.

The published mixing: an image, or a varied copy of it, is mixed in up to four rounds with a mixing
picture or another varied copy of the image, by adding or multiplying. Its collection of fractals and
feature visualisations would have to be downloaded; clouds with the same falling spectrum stand for it.
"""

from collections.abc import Callable

import torch
from torchvision.transforms.v2 import functional as pictures

from hzsynth.classify.train.objective import LOSS, CrossEntropy, Forward, Losses, Stateless
from hzsynth.core.seeding import torch_generator

_ROUNDS, _BETA, _SEVERITY = 4, 3.0, 3
_SMALLEST = 1e-37
_HIGHEST = 10

Vary = Callable[[torch.Tensor, float, int], torch.Tensor]
"""(picture uint8 3 x H x W, level in [0.1, severity], sign of -1 or 1) -> picture."""


def _affine(
    picture: torch.Tensor, shift: tuple[int, int], shear: tuple[float, float]
) -> torch.Tensor:
    moved: torch.Tensor = pictures.affine(
        picture, angle=0.0, translate=list(shift), scale=1.0, shear=list(shear)
    )
    return moved


def _shift(picture: torch.Tensor, level: float, sign: int) -> int:
    return sign * int(level * (picture.shape[-1] / 3) / _HIGHEST)


def _shear(level: float, sign: int) -> float:
    return float(torch.atan(torch.tensor(sign * level * 0.3 / _HIGHEST)).rad2deg())


# Those of AugMix; brightness, contrast, colour and sharpness resemble corruptions of the benchmark.
_OPERATIONS: tuple[Vary, ...] = (
    lambda p, level, sign: pictures.autocontrast(p),
    lambda p, level, sign: pictures.equalize(p),
    lambda p, level, sign: pictures.posterize(p, 4 - int(level * 4 / _HIGHEST)),
    lambda p, level, sign: pictures.rotate(p, sign * float(int(level * 30 / _HIGHEST))),
    lambda p, level, sign: pictures.solarize(p, 256 - int(level * 256 / _HIGHEST)),
    lambda p, level, sign: _affine(p, (0, 0), (_shear(level, sign), 0.0)),
    lambda p, level, sign: _affine(p, (0, 0), (0.0, _shear(level, sign))),
    lambda p, level, sign: _affine(p, (_shift(p, level, sign), 0), (0.0, 0.0)),
    lambda p, level, sign: _affine(p, (0, _shift(p, level, sign)), (0.0, 0.0)),
)


class PixMix(Stateless):
    """PixMix on every image of a batch.

    Args:
        loss: the cross-entropy.
        seed: root of the draws.
    """

    def __init__(self, loss: CrossEntropy, seed: int) -> None:
        self._loss, self._seed = loss, seed

    def __call__(
        self, forward: Forward, images: torch.Tensor, targets: torch.Tensor, step: int
    ) -> Losses:
        """See `objective.Objective`."""
        generator = torch_generator(self._seed, "classify", "pixmix", step)
        mixed = pixmix(images.cpu(), generator).to(images)
        return {LOSS: self._loss(forward(mixed), targets)}


def pixmix(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mixes every image by itself.

    Args:
        images: float N x 3 x H x W in [0, 1], on the CPU.
        generator: of the draws.

    Returns:
        The same shape, in [0, 1].
    """
    count, height, width = len(images), images.shape[-2], images.shape[-1]
    mixed = _chosen(_coins(count, generator), varied_copies(images, generator), images)
    rounds = torch.randint(_ROUNDS + 1, (count,), generator=generator)
    for number in range(int(rounds.max()) if count else 0):
        copies, clouds = varied_copies(images, generator), plasma(count, height, width, generator)
        other = _chosen(_coins(count, generator), copies, clouds)
        adds = _coins(count, generator)
        changed = _chosen(adds, _sum(mixed, other, generator), _product(mixed, other, generator))
        mixed = _chosen(rounds > number, changed.clamp(0, 1), mixed)
    return mixed


def varied_copies(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Every image changed by one operation of AugMix at severity 3: float N x 3 x H x W in [0, 1]."""
    count = len(images)
    kinds = torch.randint(len(_OPERATIONS), (count,), generator=generator).tolist()
    levels = (0.1 + (_SEVERITY - 0.1) * torch.rand(count, generator=generator)).tolist()
    signs = (2 * torch.randint(2, (count,), generator=generator) - 1).tolist()
    pixels = (images * 255).round().to(torch.uint8)
    changed = [
        _OPERATIONS[kind](picture, level, sign)
        for picture, kind, level, sign in zip(pixels, kinds, levels, signs, strict=True)
    ]
    return torch.stack(changed).float() / 255 if changed else images


def mixing_weights(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights of the image and of what is mixed in, N x 1 x 1 x 1 each.

    Half of the pairs are drawn from Beta(3, 1) and Beta(1, 3); of the others the first is more than 1
    and the second negative: 1 + Beta(1, 3) and -Beta(1, 3).
    """
    # Beta(b, 1) is a uniform number to the power 1 / b; Beta(1, b) is 1 less that.
    first, second = torch.rand((2, count, 1, 1, 1), generator=generator) ** (1 / _BETA)
    inside = _coins(count, generator)
    own = _chosen(inside, first, 2 - first)
    other = _chosen(inside, 1 - second, second - 1)
    return own, other


def _sum(image: torch.Tensor, other: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    own, weight = mixing_weights(len(image), generator)
    return (own * (2 * image - 1) + weight * (2 * other - 1) + 1) / 2


def _product(image: torch.Tensor, other: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    own, weight = mixing_weights(len(image), generator)
    return (2 * image) ** own * (2 * other).clamp_min(_SMALLEST) ** weight / 2


def _coins(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(count, generator=generator) < 0.5


def _chosen(which: torch.Tensor, yes: torch.Tensor, no: torch.Tensor) -> torch.Tensor:
    return torch.where(which.view(-1, 1, 1, 1), yes, no)


def plasma(count: int, height: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Clouds of colour whose spectrum falls as one over the frequency.

    Args:
        count: pictures N.
        height: pixels.
        width: pixels.
        generator: of the draws.

    Returns:
        float32 N x 3 x H x W in [0, 1], every channel from 0 to 1.
    """
    rows = torch.fft.fftfreq(height)[:, None]
    columns = torch.fft.rfftfreq(width)[None]
    frequency = (rows.square() + columns.square()).sqrt().clamp_min(1 / max(height, width))
    noise = torch.randn((count, 3, height, width), generator=generator)
    clouds = torch.fft.irfft2(torch.fft.rfft2(noise) / frequency, s=(height, width))
    lowest, highest = clouds.amin((2, 3), keepdim=True), clouds.amax((2, 3), keepdim=True)
    scaled: torch.Tensor = (clouds - lowest) / (highest - lowest).clamp_min(1e-12)
    return scaled
