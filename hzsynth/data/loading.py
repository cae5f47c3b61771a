"""Opens image sets, plain folders of class folders and image folders with a partial table.

A plain folder is read as ``CLASS/...`` or, when its first level holds only train, val and test, as
``SPLIT/CLASS/...``. Labels are composed Unicode (NFC), so that a folder unpacked on macOS
and one unpacked elsewhere agree; files keep the names they have on disk. Whether a
file is an image is told by its content.
"""

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import (
    COLUMNS,
    METADATA,
    ORIGINS,
    ImageRecord,
    ImageSet,
    checked_relative,
    read_table,
)
from hzsynth.core.phash import perceptual_hash
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.photos import decode_image, image_size

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}
_IMAGE_SUFFIXES = {
    ".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".jp2",
}  # fmt: skip


@dataclass(frozen=True)
class OpenedImages:
    """What a folder holds.

    Attributes:
        images: the readable images.
        broken: a sentence for every file that could not be read.
    """

    images: ImageSet
    broken: tuple[str, ...]


def composed(text: str) -> str:
    """The composed Unicode form (NFC) without surrounding blanks."""
    return unicodedata.normalize("NFC", text).strip()


def is_system_name(name: str) -> bool:
    """Whether a file or folder is an operating system's own (.DS_Store, Thumbs.db, __MACOSX)."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FILES


def open_images(path: Path, *, skip_broken: bool = False, progress: Progress = SILENT) -> ImageSet:
    """Opens a set, a plain folder of class folders, or an image folder with a partial table.

    Args:
        path: the folder.
        skip_broken: leave out images that cannot be read instead of refusing the folder.
        progress: where progress is shown.

    Returns:
        The images, each with label, sha256, perceptual hash and size.

    Raises:
        InputError: the folder or a file in it cannot be used; the sentence names it.
    """
    return scan_images(path, skip_broken=skip_broken, progress=progress).images


def scan_images(
    path: Path, *, skip_broken: bool = False, progress: Progress = SILENT
) -> OpenedImages:
    """Like `open_images`, and also tells which files could not be read."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"'{path}' does not exist, expected a folder of images")
    if not path.is_dir():
        raise InputError(f"'{path}' is a file, expected a folder of class folders")
    if (path / METADATA).is_file():
        table = read_table(path / METADATA)
        if set(COLUMNS) <= set(table.columns):
            return OpenedImages(ImageSet.load(path), ())
        rows = [{str(k): str(v) for k, v in row.items()} for row in table.to_dict("records")]
        records = [_record_of_row(path, row) for row in rows]
    else:
        records = _records_of_folders(path)
    if not records:
        raise InputError(f"'{path}' holds no images")
    return _measured(path, records, skip_broken, progress)


def _measured(
    root: Path, records: list[ImageRecord], skip_broken: bool, progress: Progress
) -> OpenedImages:
    good: list[ImageRecord] = []
    broken: list[str] = []
    with progress.task("reading", total=len(records), unit="img") as task:
        for record in records:
            try:
                good.append(_measure(root, record))
            except InputError as error:
                if not skip_broken:
                    raise
                broken.append(str(error))
            task.advance(1)
    if not good:
        raise InputError(f"none of the {len(records)} images in '{root}' can be read: {broken[0]}")
    return OpenedImages(ImageSet(root, good), tuple(broken))


def _measure(root: Path, record: ImageRecord) -> ImageRecord:
    path = root / record.file_name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    pixels = decode_image(data, str(path))
    return replace(
        record,
        sha256=hashlib.sha256(data).hexdigest(),
        phash=perceptual_hash(pixels),
        width=pixels.shape[1],
        height=pixels.shape[0],
    )


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not is_system_name(p.name))


def _records_of_folders(root: Path) -> list[ImageRecord]:
    loose = [p for p in root.iterdir() if p.is_file() and _is_image(p)]
    if loose:
        raise InputError(f"'{min(loose)}' lies in no class folder; expected '{root}/CLASS/image'")
    first = _folders(root)
    if not first:
        raise InputError(f"'{root}' holds no class folders; expected '{root}/CLASS/image'")
    if all(folder.name.casefold() in _SPLIT_NAMES for folder in first):
        return [
            record
            for folder in first
            for record in _records_of_classes(root, folder, _SPLIT_NAMES[folder.name.casefold()])
        ]
    return _records_of_classes(root, root, "")


def _records_of_classes(root: Path, parent: Path, split: str) -> list[ImageRecord]:
    records = []
    for folder in _folders(parent):
        files = sorted(_images_below(folder))
        if not files:
            raise InputError(f"the class folder '{folder}' holds no images")
        records += [
            ImageRecord(
                file_name=file.relative_to(root).as_posix(),
                label=composed(folder.name),
                split=split,
                source=composed(root.absolute().name),
            )
            for file in files
        ]
    return records


def _images_below(folder: Path) -> Iterable[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_system_name(name)]
        for name in files:
            path = Path(where) / name
            if not is_system_name(name) and _is_image(path):
                yield path


def _is_image(path: Path) -> bool:
    """By name, so that a damaged photograph is noticed, or else by content."""
    if is_system_name(path.name):
        return False
    if path.suffix.casefold() in _IMAGE_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            image_size(file.read(1 << 16), path.name)
    except (InputError, OSError):
        return False
    return True


def _record_of_row(root: Path, row: dict[str, str]) -> ImageRecord:
    name = _name_on_disk(root, row["file_name"])
    parts = Path(row["file_name"]).parts
    split = row.get("split", "").casefold()
    if split and split not in _SPLIT_NAMES:
        raise InputError(f"'{root / METADATA}', image '{name}': unknown split '{row['split']}'")
    origin = row.get("origin", "") or "real"
    if origin not in ORIGINS:
        raise InputError(
            f"'{root / METADATA}', image '{name}': origin is one of {', '.join(ORIGINS)}, "
            f"not '{origin}'"
        )
    label = composed(row.get("label", "") or (parts[-2] if len(parts) > 1 else ""))
    if not label:
        raise InputError(f"'{root / METADATA}', image '{name}' has neither label nor class folder")
    mask = row.get("mask", "")
    if mask:
        checked_relative(root, mask)
    return ImageRecord(
        file_name=name,
        label=label,
        split=_SPLIT_NAMES[split] if split else "",
        group=composed(row.get("group", "")),
        source=row.get("source", ""),
        origin=origin,
        parents=tuple(row.get("parents", "").split()),
        run=row.get("run", ""),
        seed=row.get("seed", ""),
        licence=row.get("licence", ""),
        mask=mask,
        extra={k: v for k, v in row.items() if k not in COLUMNS},
    )


def _name_on_disk(root: Path, name: str) -> str:
    """The name under which a listed file is found: composed and decomposed names are one."""
    checked_relative(root, name)
    for form in (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)):
        if (root / form).is_file():
            return form
    raise InputError(f"'{root / METADATA}' lists '{name}', which is not there")


def square(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Crops the central square and resizes it, antialiased.

    Args:
        pixels: H x W x 3, uint8.
        size: side of the result, pixels.

    Returns:
        size x size x 3, uint8.
    """
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    # Cropped before it is resized: the filter must not look at what was cut away.
    central = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    if side == size:
        return central
    return np.asarray(Image.fromarray(central).resize((size, size), Image.Resampling.BICUBIC))


def load_pixels(images: ImageSet, size: int) -> torch.Tensor:
    """Decodes a whole set.

    Args:
        images: the set.
        size: side of the square pictures, pixels.

    Returns:
        N x 3 x size x size, uint8, in the order of the records.

    Raises:
        InputError: a file cannot be read or decoded.
    """
    pixels = np.empty((len(images), size, size, 3), dtype=np.uint8)
    for row, record in enumerate(images):
        name = str(images.path(record))
        pixels[row] = square(decode_image(images.read_bytes(record), name), size)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
