"""Which photographs say something of their own: those of one patient, or copies of one, do not."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hzsynth.core.image_set import ImageSet
from hzsynth.core.phash import NEAR_DUPLICATE
from hzsynth.core.seeding import numpy_generator
from hzsynth.data.components import connected
from hzsynth.data.hash_pairs import near_pairs


def independent_units(images: ImageSet) -> NDArray[np.int64]:
    """Numbers the units of images that are no independent observations of each other.

    Joined are images of one patient, copies that an earlier search found, and near-duplicates by
    their perceptual hash in any of eight orientations, in any chain.

    Args:
        images: N images.

    Returns:
        N unit numbers.
    """
    pairs: list[tuple[int, int]] = []
    first: dict[tuple[str, str | int], int] = {}
    for row, record in enumerate(images):
        pairs.append((first.setdefault(("patient", record.patient), row), row))
        for number, evidence in enumerate(images.copy_evidence):
            if record.sha256 in evidence.photographs:
                photograph = evidence.photographs[record.sha256]
                pairs.append((first.setdefault((f"photograph {number}", photograph), row), row))
    hashed = [row for row, record in enumerate(images) if record.phash]
    if hashed:
        hashes = np.stack([_packed(images.records[row].phash) for row in hashed])
        for near, _ in near_pairs(hashes, NEAR_DUPLICATE):
            pairs += [(hashed[a], hashed[b]) for a, b in near.tolist()]
    return connected(len(images), pairs)


def one_of_each(units: NDArray[np.int64], seed: int, *purpose: str) -> NDArray[np.int64]:
    """One row of every unit, drawn at random.

    Args:
        units: N unit numbers.
        seed: of the draw.
        purpose: tells this draw from others.

    Returns:
        Rows in ascending order, one a unit.
    """
    order = numpy_generator(seed, "one-of-each", *purpose).permutation(len(units))
    _, first = np.unique(units[order], return_index=True)
    chosen: NDArray[np.int64] = np.sort(order[first])
    return chosen


def halves(units: Sequence[int] | NDArray[np.int64], seed: int, *purpose: str) -> NDArray[np.bool_]:
    """Divides rows at random into two halves that share no unit.

    Args:
        units: N unit numbers.
        seed: of the division.
        purpose: tells this division from others.

    Returns:
        bool N, True in the first half.
    """
    numbers = np.asarray(units)
    names = np.unique(numbers)
    order = numpy_generator(seed, "halves", *purpose).permutation(names)
    first: NDArray[np.bool_] = np.isin(numbers, order[: len(order) // 2])
    return first


def _packed(digest: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(digest), dtype=np.uint8)
