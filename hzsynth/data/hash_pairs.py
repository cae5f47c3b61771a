"""All pairs of similar hashes among a hundred thousand: minutes on one core, in little memory.

A hash is a 16 x 16 table of signs of cosine coefficients (`core.phash`, `data.appearance`). Packed by
the parity of row and column, a flip of the picture negates whole groups of 64 bits, so that the
four flips follow from four counts; a transposition of one side gives the quarter turns.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hzsynth.core.phash import SIDE
from hzsynth.core.progress import Task

_BITS = SIDE * SIDE - 1
_ROWS, _COLUMNS = 32, 4096

Integers = NDArray[np.int64]


def near_pairs(
    hashes: NDArray[np.uint8], threshold: float, task: Task | None = None
) -> Iterator[tuple[Integers, NDArray[np.float64]]]:
    """All pairs of hashes that are near in one of the eight orientations, a few rows at a time.

    Args:
        hashes: N x 32 packed signs in the layout of `core.phash`.
        threshold: largest share of differing bits, in [0, 1].
        task: where progress is shown, a unit a hash.

    Yields:
        P x 2 indices with first < second, ordered by first, and the P distances.
    """
    limit = int(np.floor(threshold * _BITS + 1e-9))
    straight, transposed = _by_parity(hashes)
    for top in range(0, len(hashes), _ROWS):
        bottom = min(top + _ROWS, len(hashes))
        found, distances = [], []
        for left in range(top, len(hashes), _COLUMNS):
            right = min(left + _COLUMNS, len(hashes))
            others = straight[:, left:right]
            differing = np.minimum(
                _least_of_flips(straight[:, top:bottom], others),
                _least_of_flips(transposed[:, top:bottom], others),
            )
            rows, columns = np.nonzero(differing <= limit)
            later = columns + left > rows + top
            rows, columns = rows[later], columns[later]
            found.append(np.stack([rows + top, columns + left], axis=1))
            distances.append(differing[rows, columns] / _BITS)
        pairs, values = np.concatenate(found), np.concatenate(distances)
        order = np.lexsort((values, pairs[:, 0]))
        if len(order):
            yield pairs[order], values[order]
        if task:
            task.advance(bottom - top)


def _by_parity(hashes: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Four words a hash: even and odd rows by even and odd columns; also of the transposed table."""
    bits = np.unpackbits(hashes, axis=1).reshape(-1, SIDE, SIDE)
    bits[:, 0, 0] = 0

    def words(table: NDArray[np.uint8]) -> NDArray[np.uint64]:
        parts = [table[:, row::2, column::2].reshape(-1, 64) for row in (0, 1) for column in (0, 1)]
        packed = np.stack([np.packbits(part, axis=1) for part in parts])
        return np.ascontiguousarray(packed).view(np.uint64)[..., 0]

    return words(bits), words(bits.transpose(0, 2, 1))


def _least_of_flips(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Differing bits of A against B hashes, the smallest over the four flips: A x B uint8."""
    even, columns, rows, both = (
        np.bitwise_count(a[:, None] ^ b[None, :]) for a, b in zip(first, second, strict=True)
    )
    # One of the 256 bits is unused, so that a sum fits in 8 bits.
    result: NDArray[np.uint8] = columns + rows
    result += both
    np.minimum(result, columns + (128 - rows - both), out=result)
    np.minimum(result, rows + (128 - columns - both), out=result)
    np.minimum(result, both + (128 - columns - rows), out=result)
    result += even
    return result
