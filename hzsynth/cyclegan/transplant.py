"""Transplant: a lesion is cut from its photograph and blended into a photograph of other skin.

The lesion with a rim of its own skin is mirrored, turned, scaled, laid on a place where the host shows
skin, shifted in CIELAB until its skin has the colour of the skin there, and blended (see `poisson`).
The shift keeps the contrast of the lesion to its skin. A lesion that its photograph cuts off is laid
against the same border of the host, since a lesion does not end in a straight line.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import fftconvolve
from skimage.color import rgb2lab

from hzsynth.cyclegan.poisson import blend
from hzsynth.cyclegan.target import Mask, Picture, Pixels, lab_to_rgb
from hzsynth.data.skin import skin_mask

# Shares of the source's longer side: the rim of skin that comes along, the gap in it that is closed.
_RIM, _GAP = 0.035, 0.05
# A border counts as cutting the lesion off from this share of its length on.
_CUT = 0.04
_SCALES = 0.75, 1.3
_LARGEST = 0.94
_SHRINK, _SMALLEST = 0.8, 0.3
# Share of the patch that must lie on skin; places within the second of the best are equally good.
_ON_SKIN, _AS_GOOD = 0.95, 0.02
_SEARCH_SIDE = 96
_FEWEST_PIXELS = 12


@dataclass(frozen=True)
class Transplant:
    """A lesion on another skin.

    Attributes:
        picture: the host with the lesion, and where it is; of the host's size.
        aligned: the host with the patch laid on it as it was, neither shifted nor blended: what
            the lesion looked like before, for comparisons.
        region: H x W, True where pixels were replaced.
        scale: of the lesion, host pixels per source pixel.
    """

    picture: Picture
    aligned: Pixels
    region: Mask
    scale: float


@dataclass(frozen=True)
class _Patch:
    """A part of a picture: pixels, lesion, the region that is to be blended, and its cut sides.

    Attributes:
        cut: whether the upper, right, lower and left border of the picture cuts the lesion off.
    """

    pixels: Pixels
    lesion: Mask
    region: Mask
    cut: tuple[bool, bool, bool, bool]


def transplant(source: Picture, host: Pixels, rng: np.random.Generator) -> Transplant | None:
    """Lays the lesion of a photograph onto another.

    Args:
        source: the photograph with its lesion.
        host: H x W x 3, the photograph of other skin.
        rng: draws place, scale, turn and mirroring.

    Returns:
        The result; None when the source has no lesion of a dozen pixels, or the host has no place
        that is skin for the most part, even for a lesion of a third of its size.
    """
    if source.lesion.sum() < _FEWEST_PIXELS:
        return None
    patch = _moved(_with_rim(source), rng)
    scale = (
        min(host.shape[:2]) / min(patch.lesion.shape) * float(np.exp(rng.uniform(*np.log(_SCALES))))
    )
    if not any(patch.cut):
        patch = _turned(patch, float(rng.uniform(0, 360)))
    patch = _boxed(patch)
    scale = _fitting(patch, scale, host.shape[:2])
    skin = skin_mask(host)
    smallest = _SMALLEST * scale
    while scale >= smallest:
        scaled = _scaled(patch, scale, host.shape[:2])
        place = _place(scaled, skin, rng)
        if place is not None:
            return _laid(scaled, host, skin, place, scale)
        if _fixed(patch.cut):
            return None
        scale *= _SHRINK
    return None


def main_parts(lesion: Mask) -> Mask:
    """The largest part of a mask and those of at least a third of its size.

    For masks that were found and not drawn: small distant parts are mostly cloth or shadow. Parts that
    are near one another count as one.
    """
    gap = max(2, round(_GAP * max(lesion.shape)))
    _, labels = cv2.connectedComponents(_grown(lesion, gap).astype(np.uint8))
    sizes = np.bincount(labels[lesion], minlength=labels.max() + 1)
    sizes[0] = 0
    return np.asarray(lesion & (sizes >= sizes.max() / 3)[labels])


def _with_rim(source: Picture) -> _Patch:
    """The lesion with the skin between its parts and around it."""
    longer = max(source.lesion.shape)
    rim, gap = (max(2, round(share * longer)) for share in (_RIM, _GAP))
    skin = skin_mask(source.pixels) | source.lesion
    region = _grown(_grown(source.lesion, gap), -gap) | source.lesion
    # Cloth or a backdrop beside the lesion stays behind.
    region = (_grown(region, rim) & skin) | _grown(source.lesion, 1)
    sides = (source.lesion[0], source.lesion[:, -1], source.lesion[-1], source.lesion[:, 0])
    cut = [bool(side.sum() >= max(2, _CUT * len(side))) for side in sides]
    return _Patch(source.pixels, source.lesion, region, (cut[0], cut[1], cut[2], cut[3]))


def _grown(mask: Mask, pixels: int) -> Mask:
    """Grows a mask by a disc; shrinks it when `pixels` is negative."""
    size = 2 * abs(pixels) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    values = np.pad(mask.astype(np.uint8), abs(pixels), mode="edge")
    changed = cv2.dilate(values, disc) if pixels > 0 else cv2.erode(values, disc)
    inner = slice(abs(pixels), -abs(pixels) or None)
    return np.asarray(changed[inner, inner] > 0)


def _moved(patch: _Patch, rng: np.random.Generator) -> _Patch:
    """Mirrors and turns by quarters: what keeps a cut side at a border."""
    quarters, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)
    top, right, bottom, left = patch.cut
    arrays = [patch.pixels, patch.lesion, patch.region]
    if mirrored:
        arrays = [array[:, ::-1] for array in arrays]
        left, right = right, left
    cut = (top, right, bottom, left)
    # A quarter turn against the clock brings the right side to the top.
    turned = cut[quarters:] + cut[:quarters]
    pixels, lesion, region = (np.ascontiguousarray(np.rot90(a, quarters)) for a in arrays)
    return _Patch(pixels, lesion, region, (turned[0], turned[1], turned[2], turned[3]))


def _turned(patch: _Patch, degrees: float) -> _Patch:
    """Turns by any angle; what comes from beyond the picture does not belong to the region."""
    height, width = patch.lesion.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = round(width * cosine + height * sine), round(width * sine + height * cosine)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    pixels = cv2.warpAffine(
        patch.pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    lesion, region, there = (
        cv2.warpAffine(mask.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR) > 0.5
        for mask in (patch.lesion, patch.region, np.ones_like(patch.lesion))
    )
    return _Patch(np.asarray(pixels), lesion & there, region & there, patch.cut)


def _boxed(patch: _Patch) -> _Patch:
    """The region's box with a pixel around it, or up to the border on cut sides."""
    rows, columns = (np.flatnonzero(patch.region.any(axis=axis)) for axis in (1, 0))
    top, bottom = max(0, rows[0] - 1), rows[-1] + 2
    left, right = max(0, columns[0] - 1), columns[-1] + 2
    cut = patch.cut
    box = np.s_[
        0 if cut[0] else top : None if cut[2] else bottom,
        0 if cut[3] else left : None if cut[1] else right,
    ]
    return replace(
        patch, pixels=patch.pixels[box], lesion=patch.lesion[box], region=patch.region[box]
    )


def _fixed(cut: tuple[bool, bool, bool, bool]) -> bool:
    """Whether the lesion runs from one border to the opposite one: then it has one scale only."""
    return (cut[0] and cut[2]) or (cut[1] and cut[3])


def _fitting(patch: _Patch, scale: float, host: tuple[int, ...]) -> float:
    """The scale at which the patch fits into the host, or spans it where both sides are cut."""
    height, width = patch.lesion.shape
    cut = patch.cut
    spans = [
        length / own
        for length, own, both in (
            (host[0], height, cut[0] and cut[2]),
            (host[1], width, cut[1] and cut[3]),
        )
        if both
    ]
    if spans:
        return float(max(spans))
    return float(min(scale, _LARGEST * host[0] / height, _LARGEST * host[1] / width))


def _scaled(patch: _Patch, scale: float, host: tuple[int, ...]) -> _Patch:
    height, width = (max(3, round(scale * length)) for length in patch.lesion.shape)
    pixels = Image.fromarray(np.ascontiguousarray(patch.pixels))
    resized = np.asarray(pixels.resize((width, height), Image.Resampling.BICUBIC))
    masks = [
        np.asarray(
            Image.fromarray(mask.astype(np.uint8) * 255).resize(
                (width, height), Image.Resampling.BILINEAR
            )
        )
        > 127
        for mask in (patch.lesion, patch.region)
    ]
    # A patch that spans the host one way may be longer than it the other way.
    tall, wide = min(height, host[0]), min(width, host[1])
    top = height - tall if patch.cut[2] and not patch.cut[0] else (height - tall) // 2
    left = width - wide if patch.cut[1] and not patch.cut[3] else (width - wide) // 2
    box = np.s_[top : top + tall, left : left + wide]
    return replace(patch, pixels=resized[box], lesion=masks[0][box], region=masks[1][box])


def _place(patch: _Patch, skin: Mask, rng: np.random.Generator) -> tuple[int, int] | None:
    """Upper left corner of a place on skin; None when there is none."""
    free = skin.shape[0] - patch.region.shape[0], skin.shape[1] - patch.region.shape[1]
    if not patch.lesion.any() or (patch.region.all() and free == (0, 0)):
        return None
    # Coarse: a place need not be known to the pixel, and the search stays the same at any size.
    step = max(1, round(max(skin.shape) / _SEARCH_SIDE))
    coarse, small = skin[::step, ::step].astype(float), patch.region[::step, ::step].astype(float)
    small = small[: coarse.shape[0], : coarse.shape[1]]
    share = fftconvolve(coarse, small[::-1, ::-1], mode="valid") / max(small.sum(), 1.0)
    allowed = np.ones(share.shape, dtype=bool)
    top, right, bottom, left = patch.cut
    for cut, line in (
        (top, np.s_[1:]),
        (bottom, np.s_[:-1]),
        (left, np.s_[:, 1:]),
        (right, np.s_[:, :-1]),
    ):
        opposite = (top and bottom) or (left and right)
        if cut and not opposite:
            allowed[line] = False
    share = np.where(allowed, share, 0.0)
    if share.max() < _ON_SKIN:
        return None
    places = np.argwhere(share >= share.max() - _AS_GOOD)
    row, column = places[int(rng.integers(len(places)))] * step
    row = 0 if top else free[0] if bottom else min(int(row), free[0])
    column = 0 if left else free[1] if right else min(int(column), free[1])
    return row, column


def _laid(
    patch: _Patch, host: Pixels, skin: Mask, place: tuple[int, int], scale: float
) -> Transplant:
    height, width = patch.region.shape
    box = np.s_[place[0] : place[0] + height, place[1] : place[1] + width]
    aligned, moved = host.copy(), host.astype(np.float64)
    region, lesion = (np.zeros(host.shape[:2], dtype=bool) for _ in range(2))
    region[box], lesion[box] = patch.region, patch.lesion
    aligned[box] = patch.pixels
    moved[box] = _matched(patch, host[box], skin[box])
    # A backdrop that the patch reaches into stays, and does not bleed into the skin.
    backdrop = ~_grown(_grown(skin, 2), -2)
    region &= ~backdrop
    lesion &= ~backdrop
    blended = blend(moved, host, region, backdrop)
    return Transplant(Picture(blended, lesion), aligned, region, scale)


def _matched(patch: _Patch, host: Pixels, skin: Mask) -> NDArray[np.float64]:
    """The patch with the colour of its own skin shifted to that of the host's skin under it."""
    lab, below = rgb2lab(patch.pixels), rgb2lab(host)
    rim = patch.region & ~_grown(patch.lesion, 1)
    own = rim if rim.sum() >= _FEWEST_PIXELS else patch.region
    there = patch.region & skin
    shift = np.median(below[there], axis=0) - np.median(lab[own], axis=0)
    return lab_to_rgb(lab + shift) * 255.0
