"""Finds copies of one photograph: mirrored, turned, brightened, squashed, encoded again.

Two steps. The perceptual hash (`core.phash`, the smallest distance over the eight flips
and quarter turns) proposes pairs; small thumbnails confirm them by normalised correlation, in the
orientation in which they fit best: of the whole picture, of its details, and of the fine details
in most of its blocks. The last keeps two limbs with the same archive's logo apart. Hashes that
nearly agree (`core.phash.NEAR_DUPLICATE`, what lineage refuses) need no confirmation.
Copies form clusters: connected components of the confirmed pairs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hzsynth.core.image_set import ImageRecord, ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter, refuse_existing
from hzsynth.core.phash import NEAR_DUPLICATE, hash_bits, orientations
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.photos import decode_image

# Measured on 558 clinical photographs and 300 phantoms, each against a turned, brightened,
# squashed JPEG-40 copy of itself (99 % of the copies pass) and against all the others.
_CANDIDATE = 0.31
_WHOLE, _DETAIL, _BLOCKS = 0.90, 0.55, 0.28

_SIDE = 32
_BLOCKS_A_SIDE = 4

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class DuplicateReport:
    """What a search for copies found.

    Attributes:
        files: images that were searched.
        distinct: different photographs among them.
        clusters: the file names of every photograph that occurs more than once.
        label_conflicts: clusters whose copies have different labels, as ``name: label``.
        split_leaks: clusters whose copies lie in different splits, as ``name: split``.
    """

    files: int
    distinct: int
    clusters: tuple[tuple[str, ...], ...]
    label_conflicts: tuple[dict[str, str], ...]
    split_leaks: tuple[dict[str, str], ...]


def connected(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Numbers the connected components of `count` items that are joined by pairs.

    Args:
        count: number of items.
        pairs: indices of items that belong together.

    Returns:
        The component of each item; components are numbered in the order of their first item.
    """
    rows = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(rows), np.int8), (rows[:, 0], rows[:, 1])), (count, count))
    _, component = connected_components(graph, directed=False)
    _, first, number = np.unique(component, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    result: NDArray[np.int64] = order[number].astype(np.int64)
    return result


def duplicate_clusters(images: ImageSet, progress: Progress = SILENT) -> NDArray[np.int64]:
    """Numbers the photographs of a set: copies of one photograph get one number.

    Args:
        images: the set.
        progress: where progress is shown.

    Returns:
        N cluster numbers, in the order of the records.

    Raises:
        InputError: an image that has to be looked at cannot be read.
    """
    records = images.records
    first_with: dict[str, int] = {}
    pairs = [
        (first_with.setdefault(record.sha256, row), row)
        for row, record in enumerate(records)
        if record.sha256
    ]
    candidates, distances = candidate_pairs([record.phash for record in records])
    certain = distances <= NEAR_DUPLICATE
    pairs += [(int(a), int(b)) for a, b in candidates[certain]]
    doubtful = candidates[~certain]
    needed = np.unique(doubtful)
    place = {int(row): position for position, row in enumerate(needed)}
    thumbnails = np.empty((len(needed), _SIDE, _SIDE))
    with progress.task("comparing", total=len(needed), unit="img") as task:
        for row, position in place.items():
            record = records[row]
            thumbnails[position] = thumbnail(
                decode_image(images.read_bytes(record), str(images.path(record)))
            )
            task.advance(1)
    for a, b in doubtful:
        if same_photograph(thumbnails[place[int(a)]], thumbnails[place[int(b)]]):
            pairs.append((int(a), int(b)))
    return connected(len(records), pairs)


def candidate_pairs(
    hashes: list[str], threshold: float = _CANDIDATE
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All pairs of hashes that are near in one of the eight orientations.

    Args:
        hashes: N perceptual hashes; empty ones pair with nothing.
        threshold: largest share of differing bits.

    Returns:
        P x 2 indices with first < second, and the P distances.
    """
    rows = np.array([i for i, digest in enumerate(hashes) if digest], dtype=np.int64)
    if len(rows) < 2:
        return np.empty((0, 2), np.int64), np.empty(0)
    views = np.stack([orientations(hash_bits(hashes[i])) for i in rows])
    words = np.packbits(views.reshape(len(rows), 8, -1), axis=2).view(np.uint64)
    upright = np.ascontiguousarray(words[:, 0].T)
    bits = views.shape[-1] ** 2 - 1
    found, distances = [], []
    for position in range(len(rows) - 1):
        # One of the 256 bits is unused, so that a count fits in 8 bits.
        differing = np.zeros((8, len(rows) - position - 1), np.uint8)
        for word, others in zip(words[position].T, upright, strict=True):
            differing += np.bitwise_count(word[:, None] ^ others[None, position + 1 :])
        distance = differing.min(axis=0) / bits
        near = np.flatnonzero(distance <= threshold)
        found.append(np.stack([np.full(len(near), rows[position]), rows[position + 1 + near]], 1))
        distances.append(distance[near])
    return np.concatenate(found), np.concatenate(distances)


def thumbnail(pixels: NDArray[np.uint8]) -> FloatArray:
    """The luminance of a picture, squeezed to 32 x 32 pixels (grey levels)."""
    small = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64)


def _correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    """Normalised correlation over the last axis."""
    first = first - first.mean(axis=-1, keepdims=True)
    second = second - second.mean(axis=-1, keepdims=True)
    norms = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    product: FloatArray = (first * second).sum(axis=-1) / np.maximum(norms, 1e-9)
    return product


def _details(picture: FloatArray, scale: float) -> FloatArray:
    """What is smaller than some pixels: without it, a limb's outline alone looks like a copy."""
    details: FloatArray = picture - gaussian_filter(picture, scale)
    return details


def _blocks(picture: FloatArray) -> FloatArray:
    n, side = _BLOCKS_A_SIDE, _SIDE // _BLOCKS_A_SIDE
    return picture.reshape(n, side, n, side).transpose(0, 2, 1, 3).reshape(n * n, -1)


def same_photograph(first: FloatArray, second: FloatArray) -> bool:
    """Whether two thumbnails show one photograph.

    Args:
        first: 32 x 32 grey levels (see `thumbnail`).
        second: another.

    Returns:
        True when one is a flip or quarter turn of the other, up to light, contrast and noise.
    """
    turned = [np.rot90(second, quarter) for quarter in range(4)]
    views = np.stack([*turned, *(view[:, ::-1] for view in turned)])
    whole = _correlation(first.reshape(1, -1), views.reshape(8, -1))
    best = views[int(whole.argmax())]
    if whole.max() < _WHOLE:
        return False
    if _correlation(_details(first, 4).ravel(), _details(best, 4).ravel()) < _DETAIL:
        return False
    blocks = _correlation(_blocks(_details(first, 1.5)), _blocks(_details(best, 1.5)))
    return float(np.percentile(blocks, 25)) >= _BLOCKS


def report_duplicates(images: ImageSet, clusters: NDArray[np.int64]) -> DuplicateReport:
    """Describes clusters.

    Args:
        images: the set.
        clusters: N numbers of `duplicate_clusters`.

    Returns:
        The report.
    """
    copies = [members for members in _members(images, clusters) if len(members) > 1]
    return DuplicateReport(
        files=len(images),
        distinct=len(set(clusters.tolist())),
        clusters=tuple(tuple(r.file_name for r in members) for members in copies),
        label_conflicts=tuple(
            {r.file_name: r.label for r in members}
            for members in copies
            if len({r.label for r in members}) > 1
        ),
        split_leaks=tuple(
            {r.file_name: r.split for r in members}
            for members in copies
            if len({r.split for r in members}) > 1
        ),
    )


def _members(images: ImageSet, clusters: NDArray[np.int64]) -> list[list[ImageRecord]]:
    members: dict[int, list[ImageRecord]] = {}
    for record, cluster in zip(images, clusters.tolist(), strict=True):
        members.setdefault(cluster, []).append(record)
    return list(members.values())


def best_copy(copies: list[ImageRecord]) -> ImageRecord:
    """The copy to keep: of the most frequent label, then largest, then with a known patient."""
    labels = [r.label for r in copies]
    frequency = {label: labels.count(label) for label in labels}
    return max(copies, key=lambda r: (frequency[r.label], r.width * r.height, bool(r.group)))


def _merged_groups(images: ImageSet, clusters: NDArray[np.int64]) -> dict[str, str]:
    """One name for patients who share a photograph: they are one patient under two names."""
    names = sorted({r.group for r in images if r.group})
    number = {name: i for i, name in enumerate(names)}
    pairs = []
    for members in _members(images, clusters):
        groups = [number[r.group] for r in members if r.group]
        pairs += [(groups[0], other) for other in groups[1:]]
    component = connected(len(names), pairs)
    first: dict[int, str] = {}
    return {name: first.setdefault(int(component[i]), name) for i, name in enumerate(names)}


def deduplicate(
    images: ImageSet, out: Path, *, force: bool = False, progress: Progress = SILENT
) -> tuple[ImageSet, DuplicateReport]:
    """Writes a set that holds every photograph once.

    Patients that turn out to share a photograph get one group name, and a copy without a
    known patient takes that of its cluster.

    Args:
        images: the set.
        out: folder of the new set.
        force: replace a set at `out`.
        progress: where progress is shown.

    Returns:
        The new set, and what was found in the old one.

    Raises:
        InputError: an image cannot be read, or `out` is taken.
    """
    refuse_existing(out, force)
    clusters = duplicate_clusters(images, progress)
    same_patient = _merged_groups(images, clusters)
    with ImageSetWriter(out, force) as writer:
        writer.inherit(images)
        for members in _members(images, clusters):
            kept = best_copy(members)
            groups = [r.group for r in members if r.group]
            writer.copy(images, kept, group=same_patient[groups[0]] if groups else "")
    return writer.images, report_duplicates(images, clusters)
