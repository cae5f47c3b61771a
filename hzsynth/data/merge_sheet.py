"""A sheet of what was merged, to be looked at before a copy is given up."""

from pathlib import PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.photos import fitted
from hzsynth.report.contact_sheet import contact_sheet

_SIDE = 128
_FRAME = 4
_COLUMNS = 8
_KEPT = (0, 150, 80)


def cluster_members(images: ImageSet, clusters: NDArray[np.int64]) -> list[list[ImageRecord]]:
    """The images of every cluster, single ones too, in the order of their first images."""
    members: dict[int, list[ImageRecord]] = {}
    for record, cluster in zip(images, clusters.tolist(), strict=True):
        members.setdefault(cluster, []).append(record)
    return list(members.values())


def best_copy(copies: list[ImageRecord]) -> ImageRecord:
    """The copy to keep: of the most frequent label, then largest, then with a known patient."""
    labels = [r.label for r in copies]
    frequency = {label: labels.count(label) for label in labels}
    return max(copies, key=lambda r: (frequency[r.label], r.width * r.height, bool(r.group)))


def merge_sheet(
    images: ImageSet, clusters: NDArray[np.int64], limit: int = 80
) -> NDArray[np.uint8]:
    """Shows the copies of every photograph that occurs more than once.

    Args:
        images: the set that was searched.
        clusters: N numbers of `copy_search.find_copies`.
        limit: photographs at most; those with most copies come first.

    Returns:
        The sheet, H x W x 3 uint8, 8 pictures wide: of each photograph the copy that is kept, in a
        green frame, then at most 7 others; empty when nothing was merged.

    Raises:
        InputError: an image cannot be read.
    """
    merged = [members for members in cluster_members(images, clusters) if len(members) > 1]
    merged.sort(key=len, reverse=True)
    pictures: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    for members in merged[:limit]:
        kept = best_copy(members)
        row = [kept, *(record for record in members if record is not kept)][:_COLUMNS]
        if len(pictures) % _COLUMNS + len(row) > _COLUMNS:
            _fill_row(pictures, captions)
        pictures += [_picture(images, record, record is kept) for record in row]
        captions += [PurePosixPath(record.file_name).stem for record in row]
    if not merged:
        pictures, captions = [_empty()], ["nothing merged"]
    elif len(pictures) > _COLUMNS:
        _fill_row(pictures, captions)
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return contact_sheet(pixels, min(len(pictures), _COLUMNS), captions)


def _fill_row(pictures: list[NDArray[np.uint8]], captions: list[str]) -> None:
    missing = -len(pictures) % _COLUMNS
    pictures += [_empty()] * missing
    captions += [""] * missing


def _empty() -> NDArray[np.uint8]:
    return np.full((_SIDE, _SIDE, 3), 255, np.uint8)


def _picture(images: ImageSet, record: ImageRecord, kept: bool) -> NDArray[np.uint8]:
    shown = fitted(images.read_pixels(record), _SIDE - 2 * _FRAME)
    picture = np.empty((_SIDE, _SIDE, 3), np.uint8)
    picture[:] = _KEPT if kept else (255, 255, 255)
    picture[_FRAME:-_FRAME, _FRAME:-_FRAME] = shown
    return picture
