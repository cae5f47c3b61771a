"""The search for copies of one photograph in a whole set, from cheap looks to close ones.

Files that are equal are joined first, and one of each goes on. Hashes (`data.hash_pairs`) propose
whole pictures, keypoints propose crops, and a close look at both (`data.same_photograph`) decides. Perceptual
hashes that nearly agree (`core.phash.NEAR_DUPLICATE`, what lineage refuses) need no second look.
A pair that is joined already is not looked at again, and of two groups of copies a few pairs
stand for all: a thousand frames of one scene cost a thousand looks, not half a million, and a
thousand frames of another one like it cost three more. What an earlier search has compared is
not compared again (`data.known_pairs`), but for the hashes, which cost nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from hzsynth.core.copy_evidence import CopyEvidence
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.parallel import SLOW, parallel_map
from hzsynth.core.phash import NEAR_DUPLICATE, SIDE, hash_bits
from hzsynth.core.progress import SILENT, Progress, Task
from hzsynth.data.appearance import (
    Appearance,
    read_appearance,
    read_structure,
    read_thumbnail,
)
from hzsynth.data.hash_pairs import near_pairs
from hzsynth.data.keypoint_votes import voted_pairs
from hzsynth.data.known_pairs import KnownPairs
from hzsynth.data.registration import place
from hzsynth.data.same_photograph import agreement, same_photograph

CROPS_UP_TO = 10_000
"""Photographs up to which crops are looked for unless told otherwise: keypoints fill memory."""
VERSION = 1
"""Of the rules: a change that may find other copies needs the next, so that evidence by the old ones is passed over."""

# Of 150,000 pairs of phantoms and of clinical photographs, copies apart, the nearest came at .31.
_STRUCTURE = 0.33
_VAIN_LOOKS = 32
_KEPT_THUMBNAILS = 10_000
_STAND_FOR_ALL = 3


@dataclass(frozen=True)
class Copies:
    """Which images of a set are copies of one photograph.

    Attributes:
        clusters: N numbers in the order of the records: copies of one photograph share one.
        exact: see `DuplicateReport`.
        known: see there.
        near: see there.
        crops: see there.
        crops_searched: see there.
        evidence: what a later search need not compare again; None where earlier ones knew it all.
    """

    clusters: NDArray[np.int64]
    exact: int
    known: int
    near: int
    crops: int
    crops_searched: bool
    evidence: CopyEvidence | None


def find_copies(
    images: ImageSet,
    progress: Progress = SILENT,
    *,
    crops: bool | None = None,
    workers: int = 0,
) -> Copies:
    """Searches a set for copies.

    Args:
        images: the set; what it brings of earlier searches is believed.
        progress: where progress is shown.
        crops: whether to look for parts of a photograph, which costs some ten times the time;
            None does so for up to `CROPS_UP_TO` different files.
        workers: processes; 0 takes every available processor.

    Returns:
        The copies.

    Raises:
        InputError: an image cannot be read.
    """
    records = images.records
    groups = _Groups(len(records))
    rows = _join_equal_files(records, groups)
    exact = groups.joins
    if crops is None:
        crops = len(rows) <= CROPS_UP_TO
    known = KnownPairs(records, images.copy_evidence, VERSION, crops)
    for a, b in known.copies().tolist():
        groups.join(a, b)
    remembered = groups.joins
    new = not known.all_compared(rows)
    seen = _look(images, rows, crops, progress, workers) if new else _Seen({}, {})
    with progress.task(
        "comparing hashes", total=len(rows) + len(seen.structures), unit="img"
    ) as task:
        _join_near_hashes({row: records[row].phash for row in rows}, groups, task)
        _join_whole_copies(images, seen, known, groups, task)
    near = groups.joins
    if crops:
        _join_crops(seen.looks, known, groups, progress)
    clusters = groups.numbers()
    return Copies(
        clusters=clusters,
        exact=exact,
        known=remembered - exact,
        near=near - remembered,
        crops=groups.joins - near,
        crops_searched=crops,
        evidence=_evidence(records, clusters, crops) if new else None,
    )


def _join_equal_files(records: Sequence[ImageRecord], groups: "_Groups") -> list[int]:
    """Joins equal files; gives the rows of the first of each."""
    first_with: dict[str, int] = {}
    for row, record in enumerate(records):
        if record.sha256 and first_with.setdefault(record.sha256, row) != row:
            groups.join(first_with[record.sha256], row)
    return [row for row, record in enumerate(records) if first_with.get(record.sha256, row) == row]


def _evidence(
    records: Sequence[ImageRecord], clusters: NDArray[np.int64], crops: bool
) -> CopyEvidence:
    photographs = {
        record.sha256: number
        for record, number in zip(records, clusters.tolist(), strict=True)
        if record.sha256
    }
    return CopyEvidence(photographs, VERSION, crops)


@dataclass(frozen=True)
class _Seen:
    """What was looked at: row -> appearance (only for crops), hash of the structure."""

    looks: Mapping[int, Appearance]
    structures: Mapping[int, NDArray[np.uint8] | None]


def _look(
    images: ImageSet, rows: Sequence[int], crops: bool, progress: Progress, workers: int
) -> _Seen:
    wanted = [images.records[row] for row in rows]
    looks: dict[int, Appearance] = {}
    structures: dict[int, NDArray[np.uint8] | None] = {}
    with progress.task("looking at photographs", total=len(rows), unit="img") as task:
        if crops:
            found = parallel_map(partial(read_appearance, images.root), wanted, workers, least=SLOW)
            for row, look in zip(rows, found, strict=True):
                looks[row], structures[row] = look, look.structure
                task.advance(1)
        else:
            hashes = parallel_map(partial(read_structure, images.root), wanted, workers)
            for row, structure in zip(rows, hashes, strict=True):
                structures[row] = structure
                task.advance(1)
    return _Seen(looks, structures)


def _join_near_hashes(digests: Mapping[int, str], groups: "_Groups", task: Task) -> None:
    """Joins what lineage would refuse, so that a split never leaves it on both sides."""
    known = {row: np.packbits(hash_bits(digest)) for row, digest in digests.items() if digest}
    places = np.array(list(known), dtype=np.int64)
    for pairs, _ in near_pairs(_table(known.values()), NEAR_DUPLICATE, task):
        for a, b in groups.apart(places[pairs]).tolist():
            groups.join(a, b)
    task.advance(len(digests) - len(known))


def _join_whole_copies(
    images: ImageSet, seen: _Seen, known: KnownPairs, groups: "_Groups", task: Task
) -> None:
    hashes = {row: found for row, found in seen.structures.items() if found is not None}
    places = np.array(list(hashes), dtype=np.int64)

    @lru_cache(_KEPT_THUMBNAILS)
    def small(row: int) -> NDArray[np.uint8]:
        # A hundred thousand of them would fill memory, and only few are looked at.
        if row in seen.looks:
            return seen.looks[row].thumbnail
        return read_thumbnail(images.root, images.records[row])

    def confirm(a: int, b: int) -> bool:
        return same_photograph(small(a), small(b))

    for pairs, _ in near_pairs(_table(hashes.values()), _STRUCTURE, task):
        found = places[pairs]
        found = found[~known.compared(found)]
        starts = np.flatnonzero(np.diff(found[:, 0])) + 1
        for partners in np.split(found, starts):
            groups.join_confirmed(partners, confirm, _VAIN_LOOKS)
    task.advance(len(seen.structures) - len(hashes))


def _table(hashes: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.array(list(hashes), dtype=np.uint8).reshape(-1, SIDE * SIDE // 8)


def _join_crops(
    looks: Mapping[int, Appearance], known: KnownPairs, groups: "_Groups", progress: Progress
) -> None:
    """Joins crops; what was found stands back in the next round, so that others get a vote."""

    def confirm(a: int, b: int) -> bool:
        placement = place(looks[a], looks[b])
        if placement is None:
            return False
        found = agreement(looks[a].thumbnail, looks[b].thumbnail, placement.matrix)
        return found is not None and found.is_copy

    # Of many frames of one scene a few stand for all: else what they show would be everywhere.
    for stand_for_all in (_STAND_FOR_ALL, 1):
        joins = groups.joins
        chosen = groups.few_of_each(looks, stand_for_all)
        pairs = np.array(chosen, dtype=np.int64)[voted_pairs([looks[row] for row in chosen])]
        pairs = pairs[~known.compared(pairs)]
        with progress.task("looking for crops", total=len(pairs), unit="pairs") as task:
            for pair in pairs:
                groups.join_confirmed(pair[None], confirm, 1)
                task.advance(1)
        if groups.joins == joins:
            return


class _Groups:
    """Items that are joined pair by pair; always knows who belongs together."""

    def __init__(self, count: int) -> None:
        self._group = np.arange(count)
        self._members: dict[int, list[int]] = {}
        self._refuted: Counter[tuple[int, int]] = Counter()
        self.joins = 0

    def join(self, a: int, b: int) -> None:
        large, small = int(self._group[a]), int(self._group[b])
        if large == small:
            return
        members = self._members.pop(small, [small])
        others = self._members.pop(large, [large])
        if len(members) > len(others):
            large, members, others = small, others, members
        self._group[members] = large
        others.extend(members)
        self._members[large] = others
        self.joins += 1

    def apart(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of P x 2 pairs that are not joined yet."""
        result: NDArray[np.int64] = pairs[self._group[pairs[:, 0]] != self._group[pairs[:, 1]]]
        return result

    def few_of_each(self, items: Iterable[int], most: int) -> list[int]:
        """The items without those whose group has `most` before them already."""
        seen: Counter[int] = Counter()
        chosen = []
        for item in items:
            group = int(self._group[item])
            seen[group] += 1
            if seen[group] <= most:
                chosen.append(item)
        return chosen

    def join_confirmed(
        self, pairs: NDArray[np.int64], confirm: Callable[[int, int], bool], vain_looks: int
    ) -> None:
        """Joins the pairs that a close look confirms; what is joined or refuted is left alone.

        Args:
            pairs: P x 2 items, the likeliest first.
            confirm: the close look at two items.
            vain_looks: as many looks without success end it.
        """
        for a, b in self.apart(pairs).tolist():
            one, other = sorted((int(self._group[a]), int(self._group[b])))
            if one == other or self._refuted[one, other] >= _STAND_FOR_ALL:
                continue
            if confirm(a, b):
                self.join(a, b)
            else:
                self._refuted[one, other] += 1
                vain_looks -= 1
                if not vain_looks:
                    return

    def numbers(self) -> NDArray[np.int64]:
        """The group of each item, in the order of their first items."""
        _, first, number = np.unique(self._group, return_index=True, return_inverse=True)
        result: NDArray[np.int64] = np.argsort(np.argsort(first))[number].astype(np.int64)
        return result
