"""DiffAugment: differentiable augmentation of what the discriminator sees.

Zhao et al. 2020 (arXiv:2006.10738): the same kinds of random change on reals and fakes, in
both networks' losses. Here with half of the paper's colour range and no change of hue: redness
is the sign of the disease, and strong changes leak into the samples.
"""

from dataclasses import dataclass, fields

import torch
from torch.nn import functional

BRIGHTNESS = 0.25
SATURATION = (0.5, 1.5)
CONTRAST = (0.75, 1.25)
SHIFT = 1 / 8
CUTOUT_SIZE = 1 / 2
CUTOUT_PROBABILITY = 0.7


@dataclass(frozen=True)
class ColourShiftCutout:
    """What happens to each of N images.

    Attributes:
        brightness: N, added (images are in [-1, 1]).
        saturation: N, factor of the distance from grey.
        contrast: N, factor of the distance from the image's mean.
        shift: N x 2, rows and columns as fractions of the side, positive is down and right.
        cutout: N x 2, centre of the erased square as fractions of the side.
        erased: N, whether the square is erased.
    """

    brightness: torch.Tensor
    saturation: torch.Tensor
    contrast: torch.Tensor
    shift: torch.Tensor
    cutout: torch.Tensor
    erased: torch.Tensor

    def to(self, device: torch.device) -> "ColourShiftCutout":
        """The same on another device."""
        return ColourShiftCutout(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def select(self, rows: torch.Tensor) -> "ColourShiftCutout":
        """What happens to some of the images."""
        return ColourShiftCutout(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def draw(count: int, generator: torch.Generator) -> ColourShiftCutout:
    """Draws what happens to `count` images, from a CPU generator."""

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    return ColourShiftCutout(
        brightness=uniform(-BRIGHTNESS, BRIGHTNESS),
        saturation=uniform(*SATURATION),
        contrast=uniform(*CONTRAST),
        shift=uniform(-SHIFT, SHIFT, 2),
        cutout=uniform(0.0, 1.0, 2),
        erased=uniform(0.0, 1.0) < CUTOUT_PROBABILITY,
    )


def _each(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None]


def adjust_colour(images: torch.Tensor, drawn: ColourShiftCutout) -> torch.Tensor:
    """Brightness, then saturation, then contrast; N x 3 x H x W in, the same shape out."""
    x = images + _each(drawn.brightness)
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * _each(drawn.saturation)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (x - mean) * _each(drawn.contrast)


def translate(images: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Moves every image by whole pixels; zeros (mid-grey) come in from outside.

    Args:
        images: N x 3 x H x W.
        shift: N x 2, rows and columns as fractions of the side.

    Returns:
        The moved images.
    """
    height, width = images.shape[2:]
    rows = [round(v) for v in (shift[:, 0] * height).tolist()]
    columns = [round(v) for v in (shift[:, 1] * width).tolist()]
    margin = max(1, *map(abs, rows), *map(abs, columns))
    # Unbound first: the gradient of a slice is then as large as one image, not as the batch.
    padded = functional.pad(images, (margin, margin, margin, margin)).unbind()
    moved = [
        image[:, margin - row : margin - row + height, margin - column : margin - column + width]
        for image, row, column in zip(padded, rows, columns, strict=True)
    ]
    return torch.stack(moved)


def kept_by_cutout(side: int, drawn: ColourShiftCutout) -> torch.Tensor:
    """N x 1 x side x side: 0 inside the erased square (half of the side), 1 elsewhere."""
    places = torch.arange(side, device=drawn.cutout.device, dtype=torch.float32) + 0.5
    distance = (places[None, None, :] - drawn.cutout[:, :, None] * side).abs()
    inside = distance < CUTOUT_SIZE * side / 2
    square = inside[:, 0, :, None] & inside[:, 1, None, :] & drawn.erased[:, None, None]
    return (~square).float()[:, None]


def apply(images: torch.Tensor, drawn: ColourShiftCutout) -> torch.Tensor:
    """Applies an augmentation; differentiable with respect to the images.

    Args:
        images: N x 3 x S x S in [-1, 1].
        drawn: what happens to each image.

    Returns:
        The augmented images; their values may leave [-1, 1], as in the paper.
    """
    x = translate(adjust_colour(images, drawn), drawn.shift)
    x = x * kept_by_cutout(x.shape[-1], drawn.to(x.device))
    return x.contiguous(memory_format=torch.channels_last)
