"""Corruptions whose strength grows continuously from nothing, for the student's curriculum.

Gaussian noise, blur, brightness and contrast. Noise, brightness and contrast are also kinds of
the usual robustness benchmark (ImageNet-C, arXiv 1903.12261): a network that was trained
on them has not held them out there.
"""

from collections.abc import Callable

import torch
from torch.nn import functional

Corrupt = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(images N x 3 x H x W in [0, 1], strengths N in [0, 1], signs N of -1 or 1) -> images."""

_NOISE = 0.25
_BLUR = 0.03
_BRIGHTNESS = 0.35
_CONTRAST = 0.7


def gaussian_blur(
    images: torch.Tensor, strengths: torch.Tensor, signs: torch.Tensor
) -> torch.Tensor:
    """Blurs every image with its own Gaussian; its variance is proportional to the strength.

    Sigma reaches 3 % of the width. The kernel is the Gaussian's integral over each pixel: sampled
    at the pixels' centres, one of less than a third of a pixel would change nothing.
    """
    count, channels, height, width = images.shape
    sigma = (strengths.sqrt() * _BLUR * width).clamp_min(1e-3)[:, None]
    radius = max(1, min(int(3 * _BLUR * width) + 1, min(height, width) - 1))
    edges = torch.arange(-radius, radius + 2, device=images.device, dtype=images.dtype) - 0.5
    kernel = torch.erf(edges[None] / (sigma * 2**0.5)).diff(dim=1)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = images.reshape(1, count * channels, height, width)
    for shape, padding in (((1, -1), (radius, radius, 0, 0)), ((-1, 1), (0, 0, radius, radius))):
        padded = functional.pad(flat, padding, mode="reflect")
        weights = kernel.reshape(count * channels, 1, *shape)
        flat = functional.conv2d(padded, weights, groups=count * channels)
    return flat.reshape(count, channels, height, width)


def brightness(images: torch.Tensor, strengths: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    """Adds up to 0.35 to all channels, or takes it away."""
    return images + (signs * strengths * _BRIGHTNESS).view(-1, 1, 1, 1)


def contrast(images: torch.Tensor, strengths: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    """Moves every channel towards its mean by up to 70 %."""
    mean = images.mean(dim=(2, 3), keepdim=True)
    return mean + (images - mean) * (1 - strengths * _CONTRAST).view(-1, 1, 1, 1)


DETERMINISTIC: tuple[tuple[str, Corrupt], ...] = (
    ("gaussian_blur", gaussian_blur),
    ("brightness", brightness),
    ("contrast", contrast),
)
CORRUPTIONS = ("gaussian_noise", *(name for name, _ in DETERMINISTIC))
"""The kinds, each drawn with the same probability."""


def corrupt(images: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Corrupts every image of a batch by one kind, at a strength of its own.

    Args:
        images: float N x 3 x H x W in [0, 1].
        strength: the largest strength in [0, 1]; an image's is uniform below it. 0 gives the
            images back as they are. Full strength is noise of standard deviation 0.25, blur of
            sigma 3 % of the width, brightness by 0.35, contrast down to 30 %.
        generator: CPU generator of all draws.

    Returns:
        The same shape, in [0, 1].
    """
    if strength == 0:
        return images
    count = len(images)
    kinds = torch.randint(len(CORRUPTIONS), (count,), generator=generator)
    own = torch.rand(count, generator=generator).to(images.device) * strength
    signs = torch.randint(2, (count,), generator=generator).to(images.device) * 2 - 1
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    result = images.clone()
    noisy = (kinds == 0).to(images.device)
    result[noisy] += noise[noisy] * (own[noisy] * _NOISE).view(-1, 1, 1, 1)
    for number, (_, function) in enumerate(DETERMINISTIC, start=1):
        chosen = (kinds == number).to(images.device)
        if chosen.any():
            result[chosen] = function(images[chosen], own[chosen], signs[chosen])
    return result.clamp_(0, 1)
