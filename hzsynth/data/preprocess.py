"""Brings photographs to one size, crop and colour, and strips their metadata.

Colour: shades-of-gray (Finlayson and Trezzi, 2004) estimates the light as the Minkowski
mean (p = 6) of every channel and divides it out, which takes away much of a camera's tint.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter, refuse_existing
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.lesion import lesion_mask
from hzsynth.data.photos import decode_image

_MINKOWSKI = 6
_MARGIN = 0.15

Box = tuple[int, int, int, int]


class PreprocessConfig(Config):
    """Settings of `preprocess_images`."""

    size: int = Field(224, ge=16, le=2048, description="side of the square result, pixels")
    crop: Literal["center", "lesion"] = Field(
        "center", description="the central square, or the square around the lesion"
    )
    color: Literal["none", "shades-of-gray"] = Field(
        "none", description="shades-of-gray divides the estimated colour of the light out"
    )


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


def center_box(height: int, width: int) -> Box:
    """Left, top, right and bottom of the central square."""
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def lesion_box(mask: NDArray[np.bool_]) -> Box:
    """The smallest square around a lesion, with a margin, that fits into the picture.

    Args:
        mask: H x W, True inside the lesion.

    Returns:
        Left, top, right and bottom; the central square when the mask is empty. The side is at
        least half the picture's shorter side, since skin around a lesion is part of its looks.
    """
    height, width = mask.shape
    if not mask.any():
        return center_box(height, width)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    shorter = min(height, width)
    side = int(np.clip(round(extent * (1 + 2 * _MARGIN)), -(-shorter // 2), shorter))
    left = int(np.clip((columns[0] + columns[-1] + 1 - side) // 2, 0, width - side))
    top = int(np.clip((rows[0] + rows[-1] + 1 - side) // 2, 0, height - side))
    return left, top, left + side, top + side


def preprocess_image(
    pixels: NDArray[np.uint8],
    config: PreprocessConfig,
    mask: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Preprocesses one photograph.

    Args:
        pixels: H x W x 3, uint8.
        config: size, crop and colour.
        mask: H x W lesion mask that goes through the same crop, or None; without one a
            lesion crop looks for the lesion itself.

    Returns:
        size x size x 3 uint8, and the mask, size x size, or None when there was none.
    """
    if config.crop == "lesion":
        box = lesion_box(lesion_mask(pixels) if mask is None else mask)
    else:
        box = center_box(*pixels.shape[:2])
    if config.color == "shades-of-gray":
        pixels = shades_of_gray(pixels)
    target = (config.size, config.size)
    # Cropped before it is resized: the filter must not look at what was cut away.
    picture = Image.fromarray(pixels).crop(box).resize(target, Image.Resampling.LANCZOS)
    if mask is None:
        return np.asarray(picture), None
    whole = Image.fromarray(mask.astype(np.uint8) * 255)
    shrunk = whole.crop(box).resize(target, Image.Resampling.BILINEAR)
    return np.asarray(picture), np.asarray(shrunk) > 127


def preprocess_images(
    images: ImageSet,
    config: PreprocessConfig,
    out: Path,
    *,
    force: bool = False,
    progress: Progress = SILENT,
) -> ImageSet:
    """Writes the set again, preprocessed, as PNG without any metadata of the camera.

    Args:
        images: the set.
        config: size, crop and colour.
        out: folder of the new set.
        force: replace a set at `out`.
        progress: where progress is shown.

    Returns:
        The new set; label, split, group, source, origin, parents, run and licence stay.

    Raises:
        InputError: an image cannot be read, or `out` is taken.
    """
    refuse_existing(out, force)
    with (
        ImageSetWriter(out, force) as writer,
        progress.task("preprocessing", total=len(images), unit="img") as task,
    ):
        writer.inherit(images)
        for record in images:
            pixels = decode_image(images.read_bytes(record), str(images.path(record)))
            mask = images.read_mask(record)
            if mask is not None and mask.shape != pixels.shape[:2]:
                mask = None
            made, made_mask = preprocess_image(pixels, config, mask)
            writer.add(
                made,
                label=record.label,
                split=record.split,
                group=record.group,
                source=record.source,
                origin=record.origin,
                parents=record.parents,
                run=record.run,
                seed=record.seed,
                licence=record.licence,
                mask=made_mask,
                name=Path(record.file_name).stem,
                extra=record.extra,
            )
            task.advance(1)
    return writer.images
