"""MixUp and CutMix of two images (arXiv:1710.09412, arXiv:1905.04899).

`build-dataset --mix` mixes images of one class, so labels stay hard; mixing across classes
belongs in a training loop, where labels may be soft.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mix = Literal["none", "mixup", "cutmix"]


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
    height, width = first.shape[:2]
    half = 0.5 * np.sqrt(1 - weight)
    top, bottom = (round((centre[0] + s * half) * height) for s in (-1, 1))
    left, right = (round((centre[1] + s * half) * width) for s in (-1, 1))
    rows, columns = slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right))
    mixed = first.copy()
    mixed[rows, columns] = second[rows, columns]
    return mixed


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
        The mixed image and the weight of the first one.
    """
    weight = float(rng.uniform(0.5, 1.0))
    if kind == "mixup":
        return mixup(first, second, weight), weight
    return cutmix(first, second, weight, (float(rng.random()), float(rng.random()))), weight
