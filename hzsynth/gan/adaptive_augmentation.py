"""Adaptive discriminator augmentation (ADA): as strong as the discriminator's overfitting asks for.

Karras et al. 2020, arXiv:2006.06676: the groups "pixel blitting", "geometric" and "colour" of
their appendix B (cut-out and noise can be added); `adaptive_strength` controls how often.
Deviations, so that no such change leaks into the samples: no rotation of hue, no inversion of luma
and half the paper's spread of saturation, since redness is the sign of the disease; no quarter
turns, and rotations of at most 45 degrees in all, from which upright stays the nearest turn.
"""

import math
from dataclasses import dataclass, fields

import torch
from torch.nn import functional

from hzsynth.gan.affine_resampling import resample

SHIFT = 1 / 8
SCALE_SPREAD = 0.2
FRACTIONAL_SPREAD = 0.125
BRIGHTNESS_SPREAD = 0.2
CONTRAST_SPREAD = 0.5
SATURATION_SPREAD = 0.5
NOISE_SPREAD = 0.1
CUTOUT_SIZE = 1 / 2


@dataclass(frozen=True)
class Operators:
    """Which changes may be drawn.

    Attributes:
        flip: mirror left and right.
        blit: shift by whole pixels, at most an eighth of the side.
        geometric: scale, rotate, stretch, shift by fractions of a pixel.
        rotation: largest angle in degrees, of both turns together (the paper: 180).
        colour: brightness, contrast and saturation.
        cutout: erase a square of half the side (the paper's best set has none).
        noise: add white noise (likewise).
    """

    flip: bool = True
    blit: bool = True
    geometric: bool = True
    rotation: float = 45.0
    colour: bool = True
    cutout: bool = False
    noise: bool = False


DEFAULT_OPERATORS = Operators()


@dataclass(frozen=True)
class AdaptiveAugmentation:
    """What happens to each of N images, in this order; all on the CPU.

    What was not drawn holds the value that changes nothing.

    Attributes:
        flip: N, mirrored left to right or not.
        shift: N x 2, columns and rows as fractions of the side, positive is right and down;
            rounded to whole pixels.
        scale: N, factor of the content's size.
        turn_before: N, radians, clockwise, before the stretching: it chooses the axis.
        stretch: N, factor of the width; the height is divided by it.
        turn_after: N, radians, clockwise, after it.
        offset: N x 2, columns and rows as fractions of the side, not rounded.
        brightness: N, added (images are in [-1, 1]).
        contrast: N, factor of the distance from mid-grey.
        saturation: N, factor of the distance from grey.
        erased: N, whether a square is erased.
        cutout: N x 2, its centre: columns and rows as fractions of the side.
        noise: N, standard deviation of the noise.
        noise_seed: N, whole numbers that the noise is made from.
    """

    flip: torch.Tensor
    shift: torch.Tensor
    scale: torch.Tensor
    turn_before: torch.Tensor
    stretch: torch.Tensor
    turn_after: torch.Tensor
    offset: torch.Tensor
    brightness: torch.Tensor
    contrast: torch.Tensor
    saturation: torch.Tensor
    erased: torch.Tensor
    cutout: torch.Tensor
    noise: torch.Tensor
    noise_seed: torch.Tensor

    def __len__(self) -> int:
        return len(self.flip)

    def select(self, index: torch.Tensor) -> "AdaptiveAugmentation":
        """What happens to some of the images."""
        return AdaptiveAugmentation(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def resampled(self) -> torch.Tensor:
        """N, whether an image's pixels move by anything but whole pixels."""
        turned = (self.turn_before != 0) | (self.turn_after != 0)
        scaled = (self.scale != 1) | (self.stretch != 1)
        return turned | scaled | (self.offset != 0).any(dim=1)


def draw(
    count: int,
    p: float,
    generator: torch.Generator,
    operators: Operators = DEFAULT_OPERATORS,
) -> AdaptiveAugmentation:
    """Draws what happens to `count` images: every operator to each of them with probability `p`.

    Takes equally many numbers from the generator whatever `p` and the operators are. With the same
    generator state a larger `p` keeps what a smaller one drew and adds to it; a second turn takes the
    place of the first.

    Args:
        count: number of images, N.
        p: strength in [0, 1].
        generator: a CPU generator.
        operators: what may be drawn.

    Returns:
        What happens to each image.
    """
    gates = torch.rand(13, count, generator=generator)
    uniform = torch.rand(8, count, generator=generator)
    normal = torch.randn(8, count, generator=generator)
    noise_seed = torch.randint(2**62, (count,), generator=generator)

    def gated(
        number: int, allowed: bool, value: torch.Tensor, nothing: float = 0.0, chance: float = p
    ) -> torch.Tensor:
        taken = gates[number] < (chance if allowed else 0.0)
        if value.dim() > 1:
            taken = taken[:, None]
        return torch.where(taken, value, nothing)

    # Two rotations, before and after the stretching; together they happen with probability p.
    one_turn = 1.0 - math.sqrt(max(0.0, 1.0 - p))
    largest = math.radians(operators.rotation)
    axis, turned = (2.0 * uniform[3:5] - 1.0) * largest
    turn_before = gated(3, operators.geometric, axis, chance=one_turn)
    geometric, colour = operators.geometric, operators.colour
    return AdaptiveAugmentation(
        flip=(gates[0] < (p if operators.flip else 0.0)) & (uniform[0] < 0.5),
        shift=gated(1, operators.blit, (2.0 * uniform[1:3].t() - 1.0) * SHIFT),
        scale=gated(2, geometric, torch.exp2(SCALE_SPREAD * normal[0]), 1.0),
        turn_before=turn_before,
        stretch=gated(4, geometric, torch.exp2(SCALE_SPREAD * normal[1]), 1.0),
        # Both together turn the image by `turned`: the first one's angle is taken back.
        turn_after=gated(5, geometric, turned - turn_before, chance=one_turn),
        offset=gated(6, geometric, FRACTIONAL_SPREAD * normal[2:4].t()),
        brightness=gated(7, colour, BRIGHTNESS_SPREAD * normal[4]),
        contrast=gated(8, colour, torch.exp2(CONTRAST_SPREAD * normal[5]), 1.0),
        saturation=gated(9, colour, torch.exp2(SATURATION_SPREAD * normal[6]), 1.0),
        erased=gates[10] < (p if operators.cutout else 0.0),
        cutout=uniform[5:7].t(),
        noise=gated(11, operators.noise, NOISE_SPREAD * normal[7].abs()),
        noise_seed=noise_seed,
    )


def apply(images: torch.Tensor, drawn: AdaptiveAugmentation) -> torch.Tensor:
    """Applies what was drawn; differentiable with respect to the images.

    What no image drew costs nothing, and an image that drew nothing comes out as it went in. The
    same on every call on a CPU; a GPU sums the resampling's gradient in changing order.

    Args:
        images: N x 3 x S x S in [-1, 1].
        drawn: what happens to each image.

    Returns:
        The augmented images, channels last; their values may leave [-1, 1], as in the paper.
    """
    x = shift_by_pixels(mirror(images, drawn.flip), drawn.shift)
    chosen = drawn.resampled.nonzero()[:, 0]
    if len(chosen) == len(drawn):
        x = resample(x, inverse_map(drawn))
    elif len(chosen):
        index = chosen.to(x.device)
        moved = resample(x.index_select(0, index), inverse_map(drawn.select(chosen)))
        x = x.index_copy(0, index, moved)
    x = add_noise(adjust_colour(x, drawn), drawn)
    return erase(x, drawn).contiguous(memory_format=torch.channels_last)


def mirror(images: torch.Tensor, flip: torch.Tensor) -> torch.Tensor:
    """Mirrors the images that `flip` (N booleans) names, left to right."""
    if not bool(flip.any()):
        return images
    return torch.where(flip.to(images.device)[:, None, None, None], images.flip(3), images)


def shift_by_pixels(images: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Moves every image by whole pixels; its mirror image comes in from outside.

    Args:
        images: N x 3 x S x S.
        shift: N x 2, columns and rows as fractions of the side.

    Returns:
        The moved images.
    """
    side = images.shape[-1]
    pixels: list[list[int]] = (shift * side).round().long().tolist()
    margin = max(abs(value) for pair in pixels for value in pair)
    if margin == 0:
        return images
    # Unbound first: the gradient of a slice is then as large as one image, not as the batch.
    padded = functional.pad(images, (margin, margin, margin, margin), mode="reflect").unbind()
    moved = [
        image[:, margin - row : margin - row + side, margin - column : margin - column + side]
        for image, (column, row) in zip(padded, pixels, strict=True)
    ]
    return torch.stack(moved)


def inverse_map(drawn: AdaptiveAugmentation) -> torch.Tensor:
    """Composes the geometric operators into one map from a place in the result to its source.

    Returns:
        N x 2 x 3 in float64, for (column, row, 1) with the image's centre at 0 and its edges at
        -1 and 1. The content is scaled, turned, stretched, turned again and moved, in this order.
    """

    def turned_back(angle: torch.Tensor) -> torch.Tensor:
        sine, cosine = angle.sin(), angle.cos()
        return torch.stack([cosine, sine, -sine, cosine], dim=1).view(-1, 2, 2)

    stretch = drawn.stretch.double()
    before = turned_back(drawn.turn_before.double()) / drawn.scale.double()[:, None, None]
    stretched_back = torch.diag_embed(torch.stack([1.0 / stretch, stretch], dim=1))
    linear = before @ stretched_back @ turned_back(drawn.turn_after.double())
    return torch.cat([linear, linear @ (-2.0 * drawn.offset.double())[:, :, None]], dim=2)


def _each(values: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    return values.to(images)[:, None, None, None]


def adjust_colour(images: torch.Tensor, drawn: AdaptiveAugmentation) -> torch.Tensor:
    """Brightness, then contrast, then saturation; N x 3 x S x S in, the same shape out."""
    saturated = bool((drawn.saturation != 1).any())
    if not saturated and not bool(((drawn.contrast != 1) | (drawn.brightness != 0)).any()):
        return images
    added = _each(drawn.contrast * drawn.brightness, images)
    x = torch.addcmul(added, images, _each(drawn.contrast, images))
    if not saturated:
        return x
    # An image that is alone in not being saturated keeps its bits: the weight is then exactly 1.
    return torch.lerp(x.mean(dim=1, keepdim=True), x, _each(drawn.saturation, images))


def add_noise(images: torch.Tensor, drawn: AdaptiveAugmentation) -> torch.Tensor:
    """Adds white noise, every image's own from its seed."""
    if not bool((drawn.noise > 0).any()):
        return images
    noise = torch.zeros(images.shape)
    for number in (drawn.noise > 0).nonzero()[:, 0].tolist():
        generator = torch.Generator().manual_seed(int(drawn.noise_seed[number]))
        noise[number] = torch.randn(images.shape[1:], generator=generator) * drawn.noise[number]
    return images + noise.to(images)


def erase(images: torch.Tensor, drawn: AdaptiveAugmentation) -> torch.Tensor:
    """Sets a square of half the side to mid-grey (0) where that was drawn."""
    if not bool(drawn.erased.any()):
        return images
    side = images.shape[-1]
    places = (torch.arange(side) + 0.5) / side
    inside = (places - drawn.cutout[:, :, None]).abs() < CUTOUT_SIZE / 2
    square = inside[:, 1, :, None] & inside[:, 0, None, :] & drawn.erased[:, None, None]
    return images.masked_fill(square[:, None].to(images.device), 0.0)
