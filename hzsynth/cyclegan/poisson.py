"""Poisson blending (Pérez, Gangnet and Blake 2003): a patch takes on the colours around it.

The blend has the patch's gradients and the host's colours at the border. It equals the patch plus a
membrane: the harmonic function that has the difference of host and patch at the border. Where
the region runs out of the picture its border is free. A region too large for one linear system is
solved on a coarser grid first and refined: the membrane is smooth.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import spsolve

from hzsynth.cyclegan.target import Mask, Pixels

Values = NDArray[np.float64]

# A factorisation is faster than sweeps as long as it fits into some hundred megabytes.
_EXACT = 100_000
_SWEEPS = 60
# Below 2, the limit of stability of over-relaxation.
_RELAXATION = 1.85


def blend(patch: Values, host: Pixels, region: Mask, free: Mask | None = None) -> Pixels:
    """Lays a patch over a host so that no seam is left.

    Args:
        patch: H x W x 3 in [0, 255], of any value outside the region.
        host: H x W x 3, uint8.
        region: H x W, True where the patch is laid; some of the host must be left.
        free: H x W, pixels of the host outside the region whose colours the patch does not take
            on, such as those of a backdrop beside the skin; by default none.

    Returns:
        H x W x 3, uint8; equal to the host outside the region.

    Raises:
        ValueError: the region covers the whole host.
    """
    if region.all():
        raise ValueError("a patch that covers the whole host has no border to be blended at")
    free = np.zeros_like(region) if free is None else free & ~region
    membrane = harmonic(host - patch, region, free)
    blended = np.clip(np.rint(patch + membrane), 0, 255).astype(np.uint8)
    return np.where(region[..., None], blended, host)


def harmonic(values: Values, inside: Mask, free: Mask) -> Values:
    """Fills a region with the harmonic function that continues what is around it.

    Args:
        values: H x W x C, given outside the region.
        inside: H x W, True where values are wanted.
        free: H x W, True where no value is given either; like the picture's border, they count as
            no neighbours.

    Returns:
        H x W x C: every filled value is the mean of its neighbours (4, or fewer); above a hundred
        thousand pixels up to a percent of the values' range. Parts that touch no given value
        become 0.
    """
    parts, labels = cv2.connectedComponents((~free).astype(np.uint8), connectivity=4)
    held = np.zeros(parts, dtype=bool)
    held[np.unique(labels[~inside & ~free])] = True
    values = np.where((inside & ~held[labels])[..., None], 0.0, values)
    inside = inside & held[labels]
    return _continued(values, inside, free) if inside.any() else values


def _continued(values: Values, inside: Mask, free: Mask) -> Values:
    if inside.sum() <= _EXACT:
        return _solved(values, inside, free)
    filled = np.where(inside[..., None], _from_coarse(values, inside, free), values)
    return _relaxed(filled, inside, free)


def _solved(values: Values, inside: Mask, free: Mask) -> Values:
    """The linear system itself."""
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(int(inside.sum()))
    rows, columns, weights = [], [], []
    right = np.zeros((int(inside.sum()), values.shape[2]))
    neighbours = np.zeros(len(right))
    y, x = np.nonzero(inside)
    own = number[y, x]
    for down, along in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        there, beside = y + down, x + along
        exists = (there >= 0) & (there < inside.shape[0]) & (beside >= 0)
        exists &= beside < inside.shape[1]
        exists[exists] = ~free[there[exists], beside[exists]]
        there, beside, mine = there[exists], beside[exists], own[exists]
        neighbours[mine] += 1
        unknown = inside[there, beside]
        rows.append(mine[unknown])
        columns.append(number[there, beside][unknown])
        weights.append(np.full(int(unknown.sum()), -1.0))
        np.add.at(right, mine[~unknown], values[there, beside][~unknown])
    rows.append(own)
    columns.append(own)
    weights.append(neighbours)
    shape = (len(right), len(right))
    system = csr_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=shape
    )
    filled = values.copy()
    filled[inside] = spsolve(system.tocsc(), right).reshape(right.shape)
    return filled


def _from_coarse(values: Values, inside: Mask, free: Mask) -> Values:
    """A first guess from half the resolution."""
    height, width = inside.shape
    padding = ((0, height % 2), (0, width % 2))
    values = np.pad(values, (*padding, (0, 0)), mode="edge")
    inside, free = (np.pad(mask, padding, mode="edge") for mask in (inside, free))
    known = (~inside & ~free).astype(np.float64)

    def halved(array: Values) -> Values:
        sums: Values = array[::2, ::2] + array[1::2, ::2] + array[::2, 1::2] + array[1::2, 1::2]
        return sums

    count = halved(known)
    means = halved(values * known[..., None]) / np.maximum(count, 1)[..., None]
    # A pixel that holds any given value counts as given: the border stays where it is.
    wanted = (count == 0) & (halved(inside.astype(np.float64)) > 0)
    coarse = harmonic(means, wanted, (count == 0) & ~wanted)
    size = (inside.shape[1], inside.shape[0])
    enlarged = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged.reshape(*inside.shape, -1)[:height, :width])


def _relaxed(values: Values, inside: Mask, free: Mask) -> Values:
    """Successive over-relaxation on the two colours of a chessboard."""
    y, x = np.nonzero(inside)
    low, high = np.array([y.min(), x.min()]), np.array([y.max(), x.max()]) + 1
    box = tuple(slice(max(0, start - 1), end + 1) for start, end in zip(low, high, strict=True))
    part, wanted = values[box].copy(), inside[box]
    board = np.indices(wanted.shape).sum(axis=0) % 2 == 0
    counts = (~free[box]).astype(np.float64)[..., None]
    around = ((1, 1), (1, 1), (0, 0))
    count = np.maximum(_neighbour_sum(np.pad(counts, around)), 1)
    for _ in range(_SWEEPS):
        for colour in (wanted & board, wanted & ~board):
            mean = _neighbour_sum(np.pad(part * counts, around)) / count
            part[colour] += _RELAXATION * (mean - part)[colour]
    filled = values.copy()
    filled[box] = part
    return filled


def _neighbour_sum(padded: Values) -> Values:
    sums: Values = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return sums
