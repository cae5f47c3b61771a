"""Brings photographs to one size, crop and colour, takes annotations off, and strips metadata.

Colour: shades-of-gray (Finlayson and Trezzi, 2004) estimates the light as the Minkowski
mean (p = 6) of every channel and divides it out, which takes away much of a camera's tint.
Standardisation (after Reinhard et al., 2001) gives every photograph the mean and the spread that
the skin of the set's typical photograph has, in RGB or, with the hue left alone, in HSV.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import hsv2rgb, rgb2hsv

from hzsynth.data.annotations import (
    Annotation,
    annotation_mask,
    find_annotations,
    remove_annotations,
)
from hzsynth.data.config import PreprocessConfig
from hzsynth.data.lesion import salient_mask
from hzsynth.data.logos import LogoTemplate
from hzsynth.data.skin import skin_mask

_MINKOWSKI = 6
_MARGIN = 0.15
_LEAST_SKIN = 0.02
_GAINS = (0.5, 2.0)
_STATISTICS_SIDE = 160

Box = tuple[int, int, int, int]
Pixel = TypeVar("Pixel", np.uint8, np.bool_)
Floats = NDArray[np.float64]


def shades_of_gray(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Divides the estimated colour of the light out; brightness stays.

    Args:
        pixels: H x W x 3, uint8 sRGB.

    Returns:
        The corrected picture, same shape, uint8.
    """
    values = pixels.astype(np.float64)
    light = (values**_MINKOWSKI).mean(axis=(0, 1)) ** (1 / _MINKOWSKI)
    if light.min() < 1:
        return pixels
    gains = light.mean() / light
    corrected: NDArray[np.uint8] = np.clip(np.round(values * gains), 0, 255).astype(np.uint8)
    return corrected


def color_statistics(pixels: NDArray[np.uint8], space: Literal["rgb", "hsv"]) -> Floats:
    """Mean and standard deviation of the skin's channels.

    Args:
        pixels: H x W x 3, uint8 sRGB.
        space: rgb, or hsv of which saturation and value are taken.

    Returns:
        2 x C (C is 3 or 2), in [0, 1]; of the whole picture where hardly any skin is seen.
    """
    picture = Image.fromarray(pixels)
    picture.thumbnail((_STATISTICS_SIDE, _STATISTICS_SIDE), Image.Resampling.BOX)
    small = np.asarray(picture)
    skin = skin_mask(small)
    values = _channels(small, space)[skin if skin.mean() > _LEAST_SKIN else slice(None)]
    values = values.reshape(-1, values.shape[-1])
    return np.stack([values.mean(axis=0), values.std(axis=0)])


def _channels(pixels: NDArray[np.uint8], space: str) -> Floats:
    values: Floats = pixels / 255 if space == "rgb" else rgb2hsv(pixels)[..., 1:]
    return values


def standardise(
    pixels: NDArray[np.uint8], reference: Floats, space: Literal["rgb", "hsv"]
) -> NDArray[np.uint8]:
    """Gives a photograph's skin the mean and spread of a reference.

    Args:
        pixels: H x W x 3, uint8 sRGB.
        reference: 2 x C, see `color_statistics`.
        space: rgb or hsv.

    Returns:
        The changed picture, same shape; spreads are scaled by .5 to 2 at most, so that a flat
        photograph's noise does not become a pattern.
    """
    own = color_statistics(pixels, space)
    gains = np.clip(reference[1] / np.maximum(own[1], 1e-6), *_GAINS)
    moved = np.clip((_channels(pixels, space) - own[0]) * gains + reference[0], 0, 1)
    if space == "hsv":
        moved = hsv2rgb(np.concatenate([rgb2hsv(pixels)[..., :1], moved], axis=-1))
    result: NDArray[np.uint8] = np.round(moved * 255).astype(np.uint8)
    return result


def center_box(height: int, width: int) -> Box:
    """Left, top, right and bottom of the central square."""
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def lesion_box(mask: NDArray[np.bool_]) -> Box:
    """The smallest square around a lesion, with a margin, that lies inside the picture.

    Args:
        mask: H x W, True inside the lesion.

    Returns:
        Left, top, right and bottom; the central square when the mask is empty. The side is at
        least half the picture's shorter side, since skin around a lesion is part of its looks, and
        at most the shorter side: of a longer lesion the square holds as much as it can.
    """
    height, width = mask.shape
    if not mask.any():
        return center_box(height, width)
    rows, columns = mask.sum(axis=1), mask.sum(axis=0)
    (top, bottom), (left, right) = _extent(rows), _extent(columns)
    shorter = min(height, width)
    extent = max(right - left, bottom - top)
    side = int(np.clip(round(extent * (1 + 2 * _MARGIN)), -(-shorter // 2), shorter))
    left, top = _placed(columns, side), _placed(rows, side)
    return left, top, left + side, top + side


def _extent(counts: NDArray[np.int64]) -> tuple[int, int]:
    held = np.flatnonzero(counts)
    return int(held[0]), int(held[-1]) + 1


def _placed(counts: NDArray[np.int64], side: int) -> int:
    """Where a window begins that holds most of the lesion; with the lesion in its middle where it fits."""
    first, end = _extent(counts)
    if end - first <= side:
        return int(np.clip((first + end - side) // 2, 0, len(counts) - side))
    held = np.convolve(counts, np.ones(side, dtype=np.int64), mode="valid")
    best = np.flatnonzero(held == held.max())
    return int(best[len(best) // 2])


def cropped(pixels: NDArray[Pixel], box: Box) -> NDArray[Pixel]:
    """The part of a picture, H x W x 3 or H x W, inside a box: left, top, right and bottom."""
    left, top, right, bottom = box
    return np.ascontiguousarray(pixels[top:bottom, left:right])


@dataclass(frozen=True)
class PreprocessedImage:
    """A photograph after preprocessing.

    Attributes:
        pixels: size x size x 3, uint8.
        mask: of the lesion, size x size; None when none was given.
        removed: kinds of annotations that were taken off, sorted.
        annotated: H x W of the given picture, True where annotations were; None when there were none.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    removed: tuple[str, ...]
    annotated: NDArray[np.bool_] | None


def preprocess_image(
    pixels: NDArray[np.uint8],
    config: PreprocessConfig,
    mask: NDArray[np.bool_] | None = None,
    reference: Floats | None = None,
    logos: Sequence[LogoTemplate] = (),
) -> PreprocessedImage:
    """Preprocesses one photograph.

    Args:
        pixels: H x W x 3, uint8.
        config: the settings.
        mask: H x W lesion mask that goes through the same crop, or None; without one a
            lesion crop looks for the lesion itself.
        reference: of ``standardise``, see `color_statistics`.
        logos: those that the set's photographs share (see `logos.learn_logos`).

    Returns:
        The picture, its mask and what was taken off.
    """
    found: tuple[Annotation, ...] = ()
    annotated = None
    if config.remove_annotations != "no":
        found = find_annotations(pixels, logos)
    if found:
        annotated = annotation_mask(pixels.shape[:2], found)
        pixels, kept = remove_annotations(
            pixels, annotated, "crop" if config.remove_annotations == "crop" else "inpaint"
        )
        mask = None if mask is None else cropped(mask, kept)
    if config.crop == "lesion":
        box = lesion_box(salient_mask(pixels) if mask is None else mask)
    else:
        box = center_box(*pixels.shape[:2])
    if config.color == "shades-of-gray":
        pixels = shades_of_gray(pixels)
    elif config.color == "standardise" and reference is not None:
        pixels = standardise(pixels, reference, config.color_space)
    target = (config.size, config.size)
    # Cropped before it is resized: the filter must not look at what was cut away.
    picture = Image.fromarray(cropped(pixels, box)).resize(target, Image.Resampling.LANCZOS)
    shrunk = None
    if mask is not None:
        whole = Image.fromarray(cropped(mask.astype(np.uint8) * 255, box))
        shrunk = np.asarray(whole.resize(target, Image.Resampling.BILINEAR)) > 127
    removed = tuple(sorted({annotation.kind for annotation in found}))
    return PreprocessedImage(np.asarray(picture), shrunk, removed, annotated)
