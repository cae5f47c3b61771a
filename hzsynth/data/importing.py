"""Brings what a source found into an ImageSet: read, checked, hashed and written by many processes.

An image is in memory only while one process works on it, so the size of a data set is
bounded by the disk. Bytes are kept as published; only a part of a picture is encoded anew.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageRecord, ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter, mask_name, refuse_existing
from hzsynth.core.parallel import parallel_map
from hzsynth.core.phash import perceptual_hash
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.photos import decode_image
from hzsynth.data.sources.base import IMAGE_SUFFIXES, Found, Location, SourceImage


@dataclass(frozen=True)
class Imported:
    """What an import came to.

    Attributes:
        images: the new set.
        broken: a sentence for every file that was left out because it cannot be read.
        remarks: what the source had to say (see `Found`).
    """

    images: ImageSet
    broken: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Order:
    """An image to fetch, and the name it gets; an empty name: it is only measured."""

    image: SourceImage
    target: str


def import_images(
    found: Found,
    out: Path,
    *,
    skip_broken: bool = False,
    licence: str = "",
    force: bool = False,
    workers: int = 0,
    progress: Progress = SILENT,
) -> Imported:
    """Writes a new set of the images that a source found.

    Args:
        found: the images.
        out: folder of the new set.
        skip_broken: leave out images that cannot be read instead of refusing all.
        licence: terms under which the images may be used, where the source names none.
        force: replace a set at `out`.
        workers: processes; 0 takes every available processor.
        progress: where progress is shown.

    Returns:
        The set and what was left out.

    Raises:
        InputError: an image cannot be read, not one can, or `out` is taken.
    """
    refuse_existing(out, force)
    broken: list[str] = []
    with ImageSetWriter(out, force) as writer:
        orders = [_Order(image, _new_name(writer, image)) for image in found.images]
        for result in _fetched(orders, writer.folder, workers, progress):
            if isinstance(result, str):
                if not skip_broken:
                    raise InputError(result)
                broken.append(result)
                continue
            writer.register(replace(result, licence=result.licence or licence))
        for run, training in found.lineage.items():
            writer.add_lineage(run, training)
        _refuse_nothing(len(orders), broken)
    return Imported(writer.images, tuple(broken), found.remarks)


def measure_images(
    found: Found, *, workers: int = 0, progress: Progress = SILENT
) -> Iterator[tuple[SourceImage, ImageRecord | str]]:
    """Reads and hashes images where they lie; nothing is written.

    Yields:
        Every image with its row (without a file name), or with the sentence that says why it
        cannot be read.
    """
    orders = [_Order(image, "") for image in found.images]
    yield from zip(found.images, _fetched(orders, None, workers, progress), strict=True)


def _fetched(
    orders: Sequence[_Order], folder: Path | None, workers: int, progress: Progress
) -> Iterator[ImageRecord | str]:
    with progress.task("reading", total=len(orders), unit="img") as task:
        for result in parallel_map(partial(_fetch, folder), orders, workers):
            yield result
            task.advance(1)


def _refuse_nothing(count: int, broken: Sequence[str]) -> None:
    if broken and len(broken) == count:
        raise InputError(f"none of the {count} images can be read: {broken[0]}")


def _new_name(writer: ImageSetWriter, image: SourceImage) -> str:
    name = PurePath(image.name)
    suffix = name.suffix.casefold()
    if image.box is not None:
        suffix = ".png"
    elif suffix not in IMAGE_SUFFIXES:
        # A name says nothing of the format: what other programs open is told by a suffix.
        return writer.reserve(image.label, image.split, name.name, "")
    return writer.reserve(image.label, image.split, name.stem, suffix)


def _fetch(folder: Path | None, order: _Order) -> ImageRecord | str:
    """Reads, checks and writes one image; gives its row, or the sentence why it has none."""
    image = order.image
    try:
        data = image.location.read()
        pixels = decode_image(data, str(image.location))
        parents = image.parents
        if image.box is not None:
            parents = (*parents, hashlib.sha256(data).hexdigest())
            left, upper, right, lower = _inside(image, pixels.shape[1], pixels.shape[0])
            pixels = np.ascontiguousarray(pixels[upper:lower, left:right])
            data = _png(pixels)
        mask = None if image.mask is None else _mask(image.mask)
    except InputError as error:
        return str(error)
    if folder is not None:
        target = folder / order.target
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        if mask is not None:
            place = folder / mask_name(order.target)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(mask)
    return ImageRecord(
        file_name=order.target,
        label=image.label,
        split=image.split,
        group=image.group,
        source=image.source,
        origin=image.origin,
        parents=parents,
        run=image.run,
        seed=image.seed,
        sha256=hashlib.sha256(data).hexdigest(),
        phash=perceptual_hash(pixels),
        width=pixels.shape[1],
        height=pixels.shape[0],
        licence=image.licence,
        mask="" if mask is None or not order.target else mask_name(order.target),
        extra=dict(image.extra),
    )


def _inside(image: SourceImage, width: int, height: int) -> tuple[int, int, int, int]:
    """The box, cut to the picture."""
    assert image.box is not None
    left, upper, right, lower = image.box
    box = max(0, left), max(0, upper), min(width, right), min(height, lower)
    if box[0] >= box[2] or box[1] >= box[3]:
        raise InputError(
            f"'{image.location}': the box {image.box} lies outside its {width} x {height} pixels"
        )
    return box


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _mask(location: Location) -> bytes:
    try:
        with Image.open(io.BytesIO(location.read())) as picture:
            return _png(np.where(np.asarray(picture.convert("L")) > 127, 255, 0).astype(np.uint8))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"the mask '{location}' cannot be read: {error}") from error
