"""What earlier searches for copies say of a set's photographs, so that only new pairs are looked at.

A preprocessed photograph is answered for by the photograph that it was made from, which shows more.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hzsynth.core.copy_evidence import CopyEvidence
from hzsynth.core.image_record import ImageRecord

Integers = NDArray[np.int64]


class KnownPairs:
    """Which pairs of images have been compared before, and which of them are copies.

    Args:
        records: N images.
        evidence: of earlier searches; those by other rules are passed over.
        version: of the rules that hold now.
        crops: whether a search that did not look for crops is passed over.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        evidence: Sequence[CopyEvidence],
        version: int,
        crops: bool,
    ) -> None:
        usable = [e for e in evidence if e.version == version and (e.crops or not crops)]
        self._numbers = np.full((len(usable), len(records)), -1, dtype=np.int64)
        for row, search in enumerate(usable):
            for place, record in enumerate(records):
                self._numbers[row, place] = _number_in(search, record)

    def copies(self) -> Integers:
        """Pairs of images that are copies, P x 2: enough of them to join every group."""
        found = [np.empty((0, 2), np.int64)]
        for numbers in self._numbers:
            searched = np.flatnonzero(numbers >= 0)
            order = searched[np.argsort(numbers[searched], kind="stable")]
            same = numbers[order[:-1]] == numbers[order[1:]]
            found.append(np.stack([order[:-1][same], order[1:][same]], axis=1))
        return np.concatenate(found)

    def compared(self, pairs: Integers) -> NDArray[np.bool_]:
        """For each of P x 2 pairs whether one search saw both."""
        seen = self._numbers >= 0
        return np.asarray((seen[:, pairs[:, 0]] & seen[:, pairs[:, 1]]).any(axis=0))

    def all_compared(self, places: Sequence[int]) -> bool:
        """Whether every pair of some images has been compared."""
        if len(places) < 2 or not len(self._numbers):
            return len(places) < 2
        # A few kinds of images stand for all: those that the same searches saw.
        kinds = np.unique(self._numbers[:, list(places)] >= 0, axis=1)
        return bool((kinds[:, :, None] & kinds[:, None, :]).any(axis=0).all())


def _number_in(search: CopyEvidence, record: ImageRecord) -> int:
    """The number of the photograph that an image shows, or -1 where the search knows none."""
    # The last parent is the nearest; what was generated has parents, too, but shows none of them.
    ancestors = reversed(record.parents) if record.is_real else ()
    for digest in (record.sha256, *ancestors):
        if digest in search.photographs:
            return search.photographs[digest]
    return -1
