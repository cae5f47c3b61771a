"""Where one photograph lies in another: eight orientations, a shift and a scale along each axis.

Copies are cut, mirrored, turned by quarters and squashed, but not tilted: two matching keypoints
give the whole map, and a photograph from another angle fits none. Keypoints are matched in
both hands: the descriptor of a mirrored point is a permutation of the point's own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hzsynth.data.appearance import Appearance

TURNS = np.array(
    [
        [[1, 0, 0], [0, 1, 0]],
        [[0, -1, 1], [1, 0, 0]],
        [[-1, 0, 1], [0, -1, 1]],
        [[0, 1, 0], [-1, 0, 1]],
        [[1, 0, 0], [0, -1, 1]],
        [[0, 1, 0], [1, 0, 0]],
        [[-1, 0, 1], [0, 1, 0]],
        [[0, -1, 1], [-1, 0, 1]],
    ],
    np.float64,
)
"""8 x 2 x 3: the flips and quarter turns of the unit square; the first four keep the hand."""

_SIMILAR = 0.80
_SPREAD = 0.12
_SMALLEST, _LARGEST = 0.4, 2.5
_NEAR = 0.02
_MOST = 48


@dataclass(frozen=True)
class Placement:
    """How the second picture is laid over the first.

    Attributes:
        matrix: 2 x 3, from shares of the first's width and height to those of the second's.
        support: keypoints that agree.
    """

    matrix: NDArray[np.float64]
    support: int


def mirrored(descriptors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The SIFT descriptors of the same points in the mirrored picture."""
    table = descriptors.reshape(-1, 4, 4, 8)[:, ::-1, :, (-np.arange(8)) % 8]
    return np.ascontiguousarray(table.reshape(-1, descriptors.shape[1]))


def place(first: Appearance, second: Appearance) -> Placement | None:
    """Finds the map from the first picture to the second on which most keypoints agree.

    Args:
        first: with keypoints.
        second: with keypoints.

    Returns:
        The placement, or None when no three keypoints agree.
    """
    best: Placement | None = None
    if min(len(first.points), len(second.points)) < 3:
        return None
    others = second.descriptors.astype(np.float32) / 512
    for mirror in (False, True):
        own = mirrored(first.descriptors) if mirror else first.descriptors
        similarity = own.astype(np.float32) / 512 @ others.T
        rows = np.arange(len(own))
        nearest = similarity.argmax(axis=1)
        mutual = (similarity.argmax(axis=0)[nearest] == rows) & (
            similarity[rows, nearest] >= _SIMILAR
        )
        rows = rows[mutual]
        quarter = quarter_turns(first.points[rows, 2], second.points[nearest[rows], 2], mirror)
        for turn in range(4):
            chosen = rows[quarter == turn]
            if len(chosen) < 3 or (best and len(chosen) <= best.support):
                continue
            order = np.argsort(-similarity[chosen, nearest[chosen]], kind="stable")[:_MOST]
            chosen = chosen[order]
            view = TURNS[turn + 4 * mirror]
            found = _consensus(
                first.points[chosen, :2] @ view[:, :2].T + view[:, 2],
                second.points[nearest[chosen], :2].astype(np.float64),
                view,
            )
            if found and (best is None or found.support > best.support):
                best = found
    return best


def quarter_turns(
    first: NDArray[np.float32], second: NDArray[np.float32], mirror: bool
) -> NDArray[np.int64]:
    """By how many quarters matching keypoints are turned, from their directions in degrees.

    Returns:
        0 to 3 (after the mirror, which turns the picture upside down), or -1 when the turn is
        no whole number of quarters, give or take 20 degrees.
    """
    turn = (second - (-first if mirror else first)) / 90
    quarters = np.round(turn)
    result: NDArray[np.int64] = np.where(
        np.abs(turn - quarters) <= 20 / 90, quarters.astype(np.int64) % 4, -1
    )
    return result


def _consensus(
    source: NDArray[np.float64], target: NDArray[np.float64], view: NDArray[np.float64]
) -> Placement | None:
    """Of all pairs of matches, the map (a scale and a shift an axis) with which most agree."""
    a, b = np.triu_indices(len(source), 1)
    gap = source[b] - source[a]
    apart = (np.abs(gap) >= _SPREAD).all(axis=1)
    a, b, gap = a[apart], b[apart], gap[apart]
    scale = (target[b] - target[a]) / gap
    plausible = ((scale > _SMALLEST) & (scale < _LARGEST)).all(axis=1)
    a, scale = a[plausible], scale[plausible]
    if not len(a):
        return None
    shift = target[a] - scale * source[a]
    off = scale[:, None] * source[None] + shift[:, None] - target[None]
    agree = np.all(np.abs(off) <= _NEAR, axis=2)
    count = agree.sum(axis=1)
    winner = int(count.argmax())
    if count[winner] < 3:
        return None
    inliers = np.flatnonzero(agree[winner])
    matrix = np.zeros((2, 3))
    for axis in range(2):
        x, y = source[inliers, axis], target[inliers, axis]
        spread = x - x.mean()
        slope = float((spread * (y - y.mean())).sum() / max((spread**2).sum(), 1e-9))
        matrix[axis] = slope * view[axis]
        matrix[axis, 2] += y.mean() - slope * x.mean()
    return Placement(matrix, int(count[winner]))
