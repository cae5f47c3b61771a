"""Brings what a source found into an ImageSet: read, checked, hashed and written by many processes.

An image is in memory only while one process works on it, so the size of a data set is
bounded by the disk. Bytes are kept as published; only a part of a picture is encoded anew.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_files import encode_mask, encode_png, mask_name, write_below
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter, refuse_existing
from hzsynth.core.partial import carry_out
from hzsynth.core.phash import perceptual_hash
from hzsynth.core.photos import decode_image
from hzsynth.core.progress import SILENT, Progress
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
    """An image to fetch, the name it gets (empty: it is only measured), and terms of use."""

    image: SourceImage
    target: str
    licence: str


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
    with ImageSetWriter(out, force, key=_key(found, licence)) as writer:
        orders = [_Order(image, _new_name(writer, image), licence) for image in found.images]
        work = partial(_fetch, writer.folder)
        results = carry_out(
            orders,
            work,
            writer.done,
            workers=workers,
            progress=progress,
            description="importing",
        )
        for result in results:
            if isinstance(result, str):
                if not skip_broken:
                    raise InputError(result)
                broken.append(result)
            else:
                writer.register(result)
        if broken and len(broken) == len(orders):
            raise InputError(f"none of the {len(orders)} images can be read: {broken[0]}")
        for run, training in found.lineage.items():
            writer.add_lineage(run, training)
        for evidence in found.copy_evidence:
            writer.add_copy_evidence(evidence)
        writer.add_known(found.ancestors)
    return Imported(writer.images, tuple(broken), found.remarks)


def _key(found: Found, licence: str) -> str:
    """Stands for an import: another file, size or time of change is another import."""
    hasher = hashlib.sha256(repr((__name__, licence)).encode())
    for image in found.images:
        try:
            state = image.location.path.stat()
            change = (state.st_size, state.st_mtime_ns)
        except OSError:
            change = (-1, -1)
        hasher.update(repr((image, change)).encode())
    return hasher.hexdigest()


def measure_images(
    found: Found, *, workers: int = 0, progress: Progress = SILENT
) -> Iterator[tuple[SourceImage, ImageRecord | str]]:
    """Reads and hashes images where they lie; nothing is written.

    Yields:
        Every image with its row (without a file name), or with the sentence that says why it
        cannot be read.
    """
    orders = [_Order(image, "", "") for image in found.images]
    results = carry_out(
        orders, partial(_fetch, None), {}, workers=workers, progress=progress, description="reading"
    )
    yield from zip(found.images, results, strict=True)


def _new_name(writer: ImageSetWriter, image: SourceImage) -> str:
    name = os.path.basename(image.name)
    stem, suffix = os.path.splitext(name)
    suffix = suffix.casefold()
    if image.box is not None:
        suffix = ".png"
    elif suffix not in IMAGE_SUFFIXES:
        # A name says nothing of the format: what other programs open is told by a suffix.
        return writer.reserve(image.label, image.split, name, "")
    return writer.reserve(image.label, image.split, stem, suffix)


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
            data = encode_png(pixels)
        mask = None if image.mask is None else _mask(image.mask)
    except InputError as error:
        return str(error)
    if folder is not None:
        write_below(folder, order.target, data)
        if mask is not None:
            write_below(folder, mask_name(order.target), mask)
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
        licence=image.licence or order.licence,
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


def _mask(location: Location) -> bytes:
    try:
        with Image.open(io.BytesIO(location.read())) as picture:
            return encode_mask(np.asarray(picture.convert("L")) > 127)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"the mask '{location}' cannot be read: {error}") from error
