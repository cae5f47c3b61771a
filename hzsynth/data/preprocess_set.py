"""The stage `data preprocess`: a set written again by several processes, and a sheet to look at."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_files import encode_mask, encode_png, mask_name, write_below
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter, refuse_existing
from hzsynth.core.parallel import SLOW, parallel_map
from hzsynth.core.partial import carry_out
from hzsynth.core.phash import perceptual_hash
from hzsynth.core.photos import fitted
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.config import PreprocessConfig
from hzsynth.data.logos import LogoTemplate, learn_logos_of_set
from hzsynth.data.preprocess_image import color_statistics, preprocess_image
from hzsynth.data.second_look import REMOVED, SECOND_LOOK, look_again
from hzsynth.report.contact_sheet import contact_sheet

AUDIT = "audit"
SHEET = f"{AUDIT}/before-after.png"
_SHEET_PAIRS, _SHEET_SIDE = 32, 128
_REFERENCES = 512
"""Photographs that the typical one is estimated from."""


@dataclass(frozen=True)
class _Order:
    root: Path
    record: ImageRecord
    folder: Path
    target: str


def preprocess_images(
    images: ImageSet,
    config: PreprocessConfig,
    out: Path,
    *,
    force: bool = False,
    workers: int = 0,
    progress: Progress = SILENT,
) -> ImageSet:
    """Writes the set again, preprocessed, as PNG without any metadata of the camera.

    What ``standardise`` takes as typical comes from the train split only. Where annotations
    were found is kept in ``audit/annotations`` and, by kind, in the column `second_look.REMOVED`;
    ``audit/before-after.png`` shows some photographs as they were and as they are, and
    ``audit/second-look.json`` says what tells class and source now.

    Args:
        images: the set.
        config: size, crop, colour and annotations.
        out: folder of the new set.
        force: replace a set at `out`.
        workers: processes; 0 takes every available processor.
        progress: where progress is shown.

    Returns:
        The new set; label, split, group, source, origin, parents, run and licence stay.

    Raises:
        InputError: an image cannot be read, or `out` is taken.
    """
    refuse_existing(out, force)
    reference = _reference(images, config, workers, progress)
    logos: tuple[LogoTemplate, ...] = ()
    if config.remove_annotations != "no":
        logos = learn_logos_of_set(images, workers=workers, progress=progress)
    key = hashlib.sha256(f"{__name__} {images.digest} {config.to_toml()}".encode()).hexdigest()
    with ImageSetWriter(out, force, key) as writer:
        writer.inherit(images)
        orders = [
            _Order(images.root, record, writer.folder, _reserved(writer, record))
            for record in images
        ]
        made = carry_out(
            orders,
            partial(_preprocessed, config, reference, logos),
            writer.done,
            workers=workers,
            progress=progress,
            description="preprocessing",
            least=SLOW,
        )
        for row in made:
            if isinstance(row, str):
                raise InputError(row)
            writer.register(row)
        writer.attach(SHEET, _sheet(images, writer))
        after = ImageSet(writer.folder, writer.records)
        look = look_again(images.records, after, workers=workers, progress=progress).to_json()
        writer.attach(SECOND_LOOK, look.encode())
    return writer.images


def _reserved(writer: ImageSetWriter, record: ImageRecord) -> str:
    return writer.reserve(record.label, record.split, PurePosixPath(record.file_name).stem, ".png")


def _reference(
    images: ImageSet, config: PreprocessConfig, workers: int, progress: Progress
) -> NDArray[np.float64] | None:
    """The median mean and spread over photographs of the train split."""
    if config.color != "standardise":
        return None
    records = images.training_part().records
    chosen = np.unique(np.linspace(0, len(records) - 1, _REFERENCES).astype(int))
    work = partial(_statistics, images.root, config)
    found = []
    with progress.task("measuring colour", total=len(chosen), unit="img") as task:
        for result in parallel_map(work, [records[i] for i in chosen], workers):
            if isinstance(result, str):
                raise InputError(result)
            found.append(result)
            task.advance(1)
    typical: NDArray[np.float64] = np.median(np.stack(found), axis=0)
    return typical


def _statistics(
    root: Path, config: PreprocessConfig, record: ImageRecord
) -> NDArray[np.float64] | str:
    images = ImageSet(root, (record,))
    try:
        pixels = images.read_pixels(record)
    except InputError as error:
        return str(error)
    return color_statistics(pixels, config.color_space)


def _preprocessed(
    config: PreprocessConfig,
    reference: NDArray[np.float64] | None,
    logos: Sequence[LogoTemplate],
    order: _Order,
) -> ImageRecord | str:
    """Reads, changes and writes one image; gives its row, or the sentence why it cannot be read."""
    record, images = order.record, ImageSet(order.root, (order.record,))
    try:
        pixels = images.read_pixels(record)
        mask = images.read_mask(record)
    except InputError as error:
        return str(error)
    if mask is not None and mask.shape != pixels.shape[:2]:
        mask = None
    made = preprocess_image(pixels, config, mask, reference, logos)
    data = encode_png(made.pixels)
    write_below(order.folder, order.target, data)
    if made.mask is not None:
        write_below(order.folder, mask_name(order.target), encode_mask(made.mask))
    if made.annotated is not None:
        name = PurePosixPath(order.target).with_suffix(".png").as_posix()
        place = f"{AUDIT}/annotations/{name.removeprefix('images/')}"
        write_below(order.folder, place, encode_mask(made.annotated))
    return replace(
        record,
        file_name=order.target,
        # The photograph itself: lineage follows it although bytes and hash are new.
        parents=(*record.parents, record.sha256) if record.sha256 else record.parents,
        sha256=hashlib.sha256(data).hexdigest(),
        phash=perceptual_hash(made.pixels),
        width=config.size,
        height=config.size,
        mask="" if made.mask is None else mask_name(order.target),
        extra=record.extra
        if config.remove_annotations == "no"
        else {**record.extra, REMOVED: " ".join(made.removed)},
    )


def _sheet(images: ImageSet, writer: ImageSetWriter) -> bytes:
    """Some photographs, each as it was and as it is, side by side."""
    chosen = np.unique(np.linspace(0, len(images) - 1, _SHEET_PAIRS).round().astype(int))
    pictures, captions = [], []
    for place in chosen:
        before, after = images.records[place], writer.records[place]
        was = images.read_pixels(before)
        with Image.open(writer.folder / after.file_name) as picture:
            became = np.asarray(picture.convert("RGB"))
        pictures += [fitted(was, _SHEET_SIDE), fitted(became, _SHEET_SIDE)]
        captions += [before.label, "after"]
    stacked = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())
    return encode_png(contact_sheet(stacked, 8, captions))
