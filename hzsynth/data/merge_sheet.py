"""A sheet of what was merged, to be looked at before a copy is given up."""

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.image_set import ImageRecord, ImageSet
from hzsynth.data.photos import decode_image, fitted
from hzsynth.report.contact_sheet import contact_sheet

_SIDE = 128
_FRAME = 4
_MOST_COPIES = 8
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
    images: ImageSet, clusters: NDArray[np.int64], limit: int = 40
) -> NDArray[np.uint8]:
    """Shows the copies of every photograph that occurs more than once.

    Args:
        images: the set that was searched.
        clusters: N numbers of `duplicate_clusters`.
        limit: rows at most; the photographs with most copies come first.

    Returns:
        The sheet, H x W x 3 uint8: a row a photograph, the copy that is kept first and in a green
        frame, at most 8 copies; one empty place when nothing was merged.

    Raises:
        InputError: an image cannot be read.
    """
    merged = [members for members in cluster_members(images, clusters) if len(members) > 1]
    merged.sort(key=len, reverse=True)
    columns = min(max(map(len, merged), default=1), _MOST_COPIES)
    empty = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    pictures, captions = [], []
    for members in merged[:limit]:
        kept = best_copy(members)
        row = [kept, *(record for record in members if record is not kept)][:columns]
        pictures += [_picture(images, record, record is kept) for record in row]
        captions += [("kept: " if record is kept else "") + record.file_name for record in row]
        pictures += [empty] * (columns - len(row))
        captions += [""] * (columns - len(row))
    if not pictures:
        pictures, captions = [empty], ["nothing merged"]
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return contact_sheet(pixels, columns, captions)


def _picture(images: ImageSet, record: ImageRecord, kept: bool) -> NDArray[np.uint8]:
    shown = fitted(decode_image(images.read_bytes(record), record.file_name), _SIDE - 2 * _FRAME)
    picture = np.empty((_SIDE, _SIDE, 3), np.uint8)
    picture[:] = _KEPT if kept else (255, 255, 255)
    picture[_FRAME:-_FRAME, _FRAME:-_FRAME] = shown
    return picture
