"""A photograph with its lesion, and what the cheap methods know of the target skin."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab

from hzsynth.data.lesion import lesion_mask
from hzsynth.data.skin import skin_mask

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

LEVELS = 256
_MINKOWSKI = 6.0
# Below this share of the picture the colours of skin are too few to be measured.
_LEAST_SKIN = 0.02


@dataclass(frozen=True)
class Picture:
    """A photograph and where its lesion is.

    Attributes:
        pixels: H x W x 3, uint8 sRGB.
        lesion: H x W, True inside the lesion.
    """

    pixels: Pixels
    lesion: Mask


@dataclass(frozen=True)
class TargetStatistics:
    """What the methods know of the target domain.

    Attributes:
        mean: mean L*, a*, b* of its pixels.
        deviation: their standard deviations within an image, averaged over images.
        skin_mean: mean L*, a*, b* of its healthy skin.
        skin_deviation: their standard deviations within an image's skin, averaged over images.
        quantiles: 256 x 3, pooled quantiles of L*, a*, b* at equal steps of probability.
        light: colour of the light, a unit RGB vector.
        photographs: the target's photographs, H x W x 3 each.
    """

    mean: Floats
    deviation: Floats
    skin_mean: Floats
    skin_deviation: Floats
    quantiles: Floats
    light: Floats
    photographs: tuple[Pixels, ...]


def lab_to_rgb(lab: Floats) -> Floats:
    """CIELAB -> sRGB in [0, 1]; colours that light cannot have are moved to the nearest that it can."""
    inside = lab.copy()
    limit = 200 * (inside[..., 0] + 16) / 116 - 1e-6  # a little below: rounding counts
    np.minimum(inside[..., 2], limit, out=inside[..., 2])
    return np.asarray(lab2rgb(inside))


def healthy_skin(pixels: Pixels, lesion: Mask) -> Mask:
    """Skin outside the lesion; without any (a close-up) all that is no lesion, or all."""
    for region in (skin_mask(pixels) & ~lesion, ~lesion):
        if region.mean() >= _LEAST_SKIN:
            return region
    return np.ones(lesion.shape, dtype=bool)


def estimate_light(pixels: Pixels) -> Floats:
    """The colour of the light: the Minkowski mean (p = 6) of each channel, as a unit vector."""
    powers = (pixels.reshape(-1, 3) / 255.0) ** _MINKOWSKI
    light = np.maximum(powers.mean(axis=0) ** (1 / _MINKOWSKI), 1e-6)
    return np.asarray(light / np.linalg.norm(light))


def measure_target(photographs: Sequence[Pixels]) -> TargetStatistics:
    """Measures a target domain.

    Args:
        photographs: H x W x 3 each, uint8; one at least.

    Returns:
        The statistics that the methods need.
    """
    colours = [rgb2lab(image).reshape(-1, 3) for image in photographs]
    skins = [
        lab[healthy_skin(image, lesion_mask(image)).ravel()]
        for image, lab in zip(photographs, colours, strict=True)
    ]
    # Every photograph counts alike, whatever its size.
    steps = (np.arange(LEVELS) + 0.5) / LEVELS
    pooled = np.concatenate([np.quantile(lab, steps, axis=0) for lab in colours])
    return TargetStatistics(
        mean=np.mean([lab.mean(axis=0) for lab in colours], axis=0),
        deviation=np.mean([lab.std(axis=0) for lab in colours], axis=0),
        skin_mean=np.mean([lab.mean(axis=0) for lab in skins], axis=0),
        skin_deviation=np.mean([lab.std(axis=0) for lab in skins], axis=0),
        quantiles=np.quantile(pooled, steps, axis=0),
        light=np.mean([estimate_light(image) for image in photographs], axis=0),
        photographs=tuple(photographs),
    )
