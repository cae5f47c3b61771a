"""MixUp and CutMix of two images (arXiv:1710.09412, arXiv:1905.04899).

Written augmentations mix images of one class (`BuildConfig.mix`), so labels stay hard, or of any two
(`BuildConfig.mix_classes`): then each mixed image has a soft label, the shares of its classes.
"""

import json

import numpy as np
from numpy.typing import NDArray

from hzsynth.augment.config import Mix

SOFT_LABEL = "soft_label"
"""Column of a set: the classes of a mixed image with their shares, as JSON; empty where one is."""


def mixup(first: NDArray[np.uint8], second: NDArray[np.uint8], weight: float) -> NDArray[np.uint8]:
    """Blends two images: ``weight * first + (1 - weight) * second``, rounded.

    Args:
        first: H x W x 3 uint8.
        second: the same shape.
        weight: in [0, 1].

    Returns:
        H x W x 3 uint8.
    """
    blend = weight * first.astype(np.float64) + (1 - weight) * second.astype(np.float64)
    return np.rint(blend).astype(np.uint8)


def cutmix(
    first: NDArray[np.uint8], second: NDArray[np.uint8], weight: float, centre: tuple[float, float]
) -> NDArray[np.uint8]:
    """Replaces a rectangle of the first image by the same rectangle of the second.

    Args:
        first: H x W x 3 uint8.
        second: the same shape.
        weight: share of the first image that stays where the rectangle is not cut off.
        centre: of the rectangle, as shares of height and width.

    Returns:
        H x W x 3 uint8.
    """
    rows, columns = _rectangle(first.shape, weight, centre)
    mixed = first.copy()
    mixed[rows, columns] = second[rows, columns]
    return mixed


def _rectangle(
    shape: tuple[int, ...], weight: float, centre: tuple[float, float]
) -> tuple[slice, slice]:
    height, width = shape[:2]
    half = 0.5 * np.sqrt(1 - weight)
    top, bottom = (round((centre[0] + s * half) * height) for s in (-1, 1))
    left, right = (round((centre[1] + s * half) * width) for s in (-1, 1))
    return (
        slice(max(0, top), min(height, max(0, bottom))),
        slice(max(0, left), min(width, max(0, right))),
    )


def mix_pair(
    first: NDArray[np.uint8], second: NDArray[np.uint8], kind: Mix, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], float]:
    """Mixes two images by a random weight of at least one half for the first.

    Args:
        first: H x W x 3 uint8.
        second: the same shape.
        kind: ``mixup`` or ``cutmix``.
        rng: source of the weight and the place.

    Returns:
        The mixed image and the share of the first one in it, in [0.5, 1]: of light for MixUp, of
        area for CutMix, whose rectangle may be cut off by the border.
    """
    weight = float(rng.uniform(0.5, 1.0))
    if kind == "mixup":
        return mixup(first, second, weight), weight
    centre = float(rng.random()), float(rng.random())
    rows, columns = _rectangle(first.shape, weight, centre)
    height, width = first.shape[:2]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return cutmix(first, second, weight, centre), 1 - pasted


def soft_label(first: str, second: str, share: float) -> str:
    """The soft label of a mixed image as text; empty when both have one class.

    Args:
        first: class of the first image.
        second: class of the second.
        share: of the first one, in [0, 1].
    """
    return (
        "" if first == second else json.dumps({first: round(share, 4), second: round(1 - share, 4)})
    )
