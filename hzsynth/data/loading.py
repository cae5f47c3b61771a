"""Opens image sets and plain folders where they lie, and turns them into arrays."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import COLUMNS, METADATA, ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.photos import square
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.tables import read_table
from hzsynth.data.importing import measure_images
from hzsynth.data.sources.folder import find_folder

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class OpenedImages:
    """What a folder holds.

    Attributes:
        images: the readable images.
        broken: a sentence for every file that could not be read.
    """

    images: ImageSet
    broken: tuple[str, ...]


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
    path: Path, *, skip_broken: bool = False, workers: int = 0, progress: Progress = SILENT
) -> OpenedImages:
    """Like `open_images`, and also tells which files could not be read."""
    path = Path(path)
    if (path / METADATA).is_file() and set(COLUMNS) <= set(read_table(path / METADATA).columns):
        return OpenedImages(ImageSet.load(path), ())
    if path.is_file():
        raise InputError(f"'{path}' is a file, expected a folder of class folders")
    found = find_folder(path)
    good: list[ImageRecord] = []
    broken: list[str] = []
    for image, result in measure_images(found, workers=workers, progress=progress):
        if isinstance(result, str):
            if not skip_broken:
                raise InputError(result)
            broken.append(result)
            continue
        mask = "" if image.mask is None else image.mask.path.relative_to(path).as_posix()
        name = image.location.path.relative_to(path).as_posix()
        good.append(replace(result, file_name=name, mask=mask))
    if not good:
        raise InputError(
            f"none of the {len(found.images)} images in '{path}' can be read: {broken[0]}"
        )
    return OpenedImages(
        ImageSet(path, good, found.lineage, ancestors=found.ancestors), tuple(broken)
    )


def load_pixels(images: ImageSet, size: int) -> "torch.Tensor":
    """Decodes a whole set.

    Args:
        images: the set.
        size: side of the square pictures, pixels.

    Returns:
        N x 3 x size x size, uint8, in the order of the records.

    Raises:
        InputError: a file cannot be read or decoded.
    """
    import torch  # here: opening a set would wait for it

    pixels = np.empty((len(images), size, size, 3), dtype=np.uint8)
    for row, record in enumerate(images):
        pixels[row] = square(images.read_pixels(record), size)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
