"""Whether two photographs are one: laid over each other, their details agree nearly everywhere.

A placement is first refined (enhanced correlation coefficient, Evangelidis and Psarakis 2008, IEEE
TPAMI 30). Then three things must hold: the fine details correlate in at least three quarters of the
blocks (a logo may cover the rest); the brightness of one is that of the other but for a
gain and an offset; and neither is tilted against the other, as it is from another angle.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from hzsynth.data.appearance import THUMBNAIL, Floats, blurred, structure
from hzsynth.data.registration import TURNS

# Measured on 558 clinical photographs and 360 phantoms, against turned, brightened, squashed, cut
# JPEG-40 copies of themselves and against other photographs of the same patients: either details
# that agree well enough and light that agrees exactly, or the other way round (recoloured scans).
_FINE, _DETAIL, _LIGHT = 0.28, 0.40, 0.99
_STRONG_FINE, _STRONG_DETAIL, _STRONG_LIGHT = 0.80, 0.85, 0.95
# Whole pictures whose hashes agree are hardly ever strangers: less is asked of plain skin, of which
# JPEG leaves little.
_WHOLE_FINE, _WHOLE_DETAIL, _WHOLE_LIGHT = 0.10, 0.20, 0.97
_TILT, _STRONG_TILT = 2.5, 1.1

_BLOCK = 8
_SHORTEST_OVERLAP = 16
_LIKE, _FITS = 0.3, 0.5
_SQUARE = (THUMBNAIL, THUMBNAIL)
_INVERSE_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_INVERSE_NEAREST = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
_ALL = np.ones(_SQUARE, np.uint8)
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 25, 1e-3)

Thumbnail = NDArray[np.uint8]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How well two pictures agree where they overlap.

    Attributes:
        fine: correlation of details of a pixel or two (of 64), reached in 3 of 4 blocks.
        detail: the same for details twice as large.
        light: correlation of brightness over the four fifths that fit a straight line best.
        tilt: degrees by which one is tilted or sheared against the other.
        overlap: share of the first picture that the second covers.
    """

    fine: float
    detail: float
    light: float
    tilt: float
    overlap: float

    @property
    def is_copy(self) -> bool:
        """Whether the two are one photograph, or parts of one."""
        plain = self._reaches(_FINE, _DETAIL, _LIGHT)
        recoloured = self._reaches(_STRONG_FINE, _STRONG_DETAIL, _STRONG_LIGHT)
        return plain or (recoloured and self.tilt <= _STRONG_TILT)

    @property
    def is_whole_copy(self) -> bool:
        """The same for whole pictures whose hashes agree."""
        return self.is_copy or self._reaches(_WHOLE_FINE, _WHOLE_DETAIL, _WHOLE_LIGHT)

    def _reaches(self, fine: float, detail: float, light: float) -> bool:
        enough = self.fine >= fine and self.detail >= detail and self.light >= light
        return enough and self.tilt <= _TILT


def same_photograph(first: Thumbnail, second: Thumbnail) -> bool:
    """Whether two thumbnails with near hashes show one photograph, in any of eight orientations.

    Args:
        first: 64 x 64 uint8 (see `data.appearance.thumbnail`).
        second: another.

    Returns:
        True when one is a flip or quarter turn of the other, up to light, contrast, noise, a
        logo and a narrow margin.
    """
    own, other = structure(first), structure(second)
    turned = [np.rot90(other, quarter) for quarter in range(4)]
    views = np.stack([*turned, *(view[::-1] for view in turned)]).reshape(8, -1)
    alike = _correlation(own.reshape(1, -1), views)
    best = int(alike.argmax())
    if alike[best] < _LIKE:
        return False
    found = agreement(first, second, TURNS[best])
    return found is not None and found.is_whole_copy


def agreement(first: Thumbnail, second: Thumbnail, matrix: Matrix) -> Agreement | None:
    """Compares two pictures under a placement and its refinement, and takes the better.

    Args:
        first: 64 x 64 uint8, luminance squashed into a square.
        second: another.
        matrix: 2 x 3, from shares of the first's width and height to those of the second's.

    Returns:
        How they agree, or None when they overlap by less than a quarter of a side.
    """
    if abs(np.linalg.det(matrix[:, :2])) < 1:
        # The larger picture is brought to the scale of the smaller one: nothing is invented.
        matrix = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
        first, second = second, first
    start = _to_pixels(matrix)
    placed = _compare(first, second, start)
    refined_warp = _refine(first, second, start)
    refined = None if refined_warp is None else _compare(first, second, refined_warp)
    if placed is None or refined is None:
        return refined or placed
    if refined.detail > placed.detail:
        return refined
    # A placement knows no tilt; where the refinement fits too, it tells.
    return replace(placed, tilt=refined.tilt) if refined.detail >= _FITS else placed


def _to_pixels(matrix: Matrix) -> Floats:
    """The same map between the pixels of thumbnails, whose centres are at halves."""
    warp = matrix.copy()
    warp[:, 2] = THUMBNAIL * matrix[:, 2] + matrix[:, :2].sum(axis=1) / 2 - 0.5
    return warp.astype(np.float32)


def _refine(first: Thumbnail, second: Thumbnail, warp: Floats) -> Floats | None:
    try:
        _, better = cv2.findTransformECC(
            structure(first), structure(second), warp.copy(), cv2.MOTION_AFFINE, _STOP, _ALL, 3
        )
    except cv2.error:
        # It does not converge: most pairs show different things.
        return None
    return np.asarray(better, np.float32)


def _compare(first: Thumbnail, second: Thumbnail, warp: Floats) -> Agreement | None:
    laid = cv2.warpAffine(
        second.astype(np.float32),
        warp,
        _SQUARE,
        flags=_INVERSE_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    covered = cv2.warpAffine(np.ones(_SQUARE, np.uint8), warp, _SQUARE, flags=_INVERSE_NEAREST)
    rows = np.flatnonzero(covered.mean(axis=1) > 0.3)
    columns = np.flatnonzero(covered.mean(axis=0) > 0.3)
    if min(len(rows), len(columns)) < _SHORTEST_OVERLAP:
        return None
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    own = blurred(first.astype(np.float32)[part], 0.7)
    other = blurred(np.asarray(laid, np.float32)[part], 0.7)
    return Agreement(
        fine=_in_most_blocks(own, other, 1.5),
        detail=_in_most_blocks(own, other, 3.0),
        light=_trimmed_correlation(own.ravel(), other.ravel()),
        tilt=_tilt(warp),
        overlap=own.size / THUMBNAIL**2,
    )


def _in_most_blocks(first: Floats, second: Floats, scale: float) -> float:
    """The first quartile, over blocks, of the correlation of what is smaller than `scale`."""
    first, second = first - blurred(first, scale), second - blurred(second, scale)
    return float(np.percentile(_correlation(_blocks(first), _blocks(second)), 25))


def _blocks(picture: Floats) -> Floats:
    high, wide = picture.shape[0] // _BLOCK, picture.shape[1] // _BLOCK
    whole = picture[: high * _BLOCK, : wide * _BLOCK].reshape(high, _BLOCK, wide, _BLOCK)
    return whole.transpose(0, 2, 1, 3).reshape(high * wide, -1)


def _correlation(first: Floats, second: Floats) -> Floats:
    """Normalised correlation over the last axis."""
    first = first - first.mean(axis=-1, keepdims=True)
    second = second - second.mean(axis=-1, keepdims=True)
    norms = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    result: Floats = (first * second).sum(axis=-1) / np.maximum(norms, 1e-6)
    return result


def _trimmed_correlation(first: Floats, second: Floats) -> float:
    """The correlation without the fifth that a straight line fits worst: a logo may be there."""
    kept = np.ones(len(first), bool)
    for _ in range(4):
        x, y = first[kept], second[kept]
        x_mean, y_mean = x.mean(), y.mean()
        slope = ((x - x_mean) * (y - y_mean)).sum() / max(float(((x - x_mean) ** 2).sum()), 1e-6)
        off = np.abs(second - y_mean - slope * (first - x_mean))
        kept = off <= np.quantile(off, 0.8)
    return float(_correlation(first[kept], second[kept]))


def _tilt(warp: Floats) -> float:
    """The larger angle, in degrees, between an axis and its image, up to quarter turns."""
    small, large = np.sort(np.abs(warp[:, :2]), axis=1).T
    return float(np.degrees(np.arctan2(small, large)).max())
