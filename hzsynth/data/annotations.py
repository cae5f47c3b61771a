"""Finds what was added to a photograph: logos, text banners, rulers and pen marks; takes it off.

A logo that only some classes carry gives the class away, and a generator learns to draw it.
Logos that a set's photographs share are found by templates learned from the set
(`data.logos`); without them only bold white text in a corner is. Words are rows of letters
(`data.text_lines`). A banner is an even strip
along a border with a straight edge, a ruler a row of equally spaced ticks, a pen mark a thin line
of a colour that skin does not have. Rather a mark is left than a lesion painted over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hzsynth.data.logos import LogoTemplate, find_logos, stroke_map, working_copy
from hzsynth.data.skin import skin_mask
from hzsynth.data.text_lines import find_text_lines

Kind = Literal["logo", "text", "banner", "ruler", "pen"]
Box = tuple[int, int, int, int]
Mask = NDArray[np.bool_]

# White text without a template: parts, share of strokes in its box, their contrast and edges.
_TEXT_PARTS, _TEXT_SHARE, _TEXT_CONTRAST, _TEXT_EDGE = 8, (0.16, 0.6), 68, 74
_TEXT_LARGEST = 0.10
_BANNER_THICKNESS = 0.025, 0.25
_SIDE_THICKNESS = 0.1
_ABOVE_STRIP = 8
_BANNER_EVEN, _BANNER_SHARE, _BANNER_STEP, _BANNER_STRAIGHT = 10, 0.8, 9, 0.93
_PEN_HUES = 95, 155
_PEN_SATURATION, _PEN_DARKER = 55, 12
_PEN_LENGTH, _PEN_THICKNESS, _PEN_ON_SKIN = 0.10, 0.035, 0.8
_PEN_BACKDROP = 0.03
_RULER_BAND, _RULER_LAGS, _RULER_LENGTH = 22, (4, 30), 0.45
_RULER_REGULAR, _RULER_CONTRAST = 0.72, 5.0
_CROP_LOSS = 0.26
_INPAINT_RADIUS = 4


@dataclass(frozen=True)
class Annotation:
    """Something that was added to a photograph.

    Attributes:
        kind: logo, text, banner, ruler or pen.
        box: left, upper, right and lower edge, pixels.
        mask: bool, the shape of the box: what has to go.
    """

    kind: Kind
    box: Box
    mask: Mask


def find_annotations(
    pixels: NDArray[np.uint8], templates: Sequence[LogoTemplate] = ()
) -> tuple[Annotation, ...]:
    """Looks for annotations.

    Args:
        pixels: H x W x 3 uint8 sRGB.
        templates: logos of the set that the photograph is from (see `logos.learn_logos`).

    Returns:
        What was found; nothing in a picture below 32 pixels.
    """
    if min(pixels.shape[:2]) < 32:
        return ()
    small = working_copy(pixels)
    strokes = stroke_map(pixels)
    found = _banners(small)
    even = np.zeros(small.shape[:2], dtype=bool)
    for banner in found:
        left, upper, right, lower = banner.box
        even[upper:lower, left:right] = True
    logos = [
        Annotation("logo", logo.box, logo.strokes) for logo in find_logos(strokes, templates)
    ] or _corner_text(small, strokes)
    found += [logo for logo in logos if not _within(logo.box, even)]
    found += [mark for mark in (*_rulers(small), *_pen(small)) if not _within(mark.box, even)]
    # The words of a logo, a strip or a ruler go with it.
    for mark in found:
        left, upper, right, lower = mark.box
        even[upper:lower, left:right] = True
    words = [Annotation("text", box, letters) for box, letters in find_text_lines(small)]
    found += [word for word in words if not _within(word.box, even)]
    return tuple(_enlarged(mark, small.shape[:2], pixels.shape[:2]) for mark in found)


def annotation_mask(shape: tuple[int, int], found: Sequence[Annotation]) -> Mask:
    """Where annotations are, with a rim: anti-aliased edges and JPEG leave traces around strokes.

    Args:
        shape: height and width of the photograph.
        found: its annotations.

    Returns:
        H x W booleans.
    """
    mask = np.zeros(shape, np.uint8)
    for annotation in found:
        left, upper, right, lower = annotation.box
        mask[upper:lower, left:right] |= annotation.mask.astype(np.uint8)
    rim = 2 * max(1, round(0.008 * max(shape))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim))
    return np.asarray(cv2.dilate(mask, kernel) > 0)


def remove_annotations(
    pixels: NDArray[np.uint8], mask: Mask, how: Literal["inpaint", "crop"] = "inpaint"
) -> tuple[NDArray[np.uint8], Box]:
    """Takes marked pixels off a photograph.

    Args:
        pixels: H x W x 3 uint8 sRGB.
        mask: H x W, True where it has to go.
        how: ``inpaint`` fills from around (Telea, 2004); ``crop`` first cuts borders off that are
            marked over their whole length (a caption strip, a quarter of the side at most), and
            inpaints the rest.

    Returns:
        The picture, and the part of the old one that it shows: left, upper, right, lower. Pixels
        outside of the mask keep their values.
    """
    height, width = mask.shape
    box = 0, 0, width, height
    if not mask.any():
        return pixels, box
    if how == "crop":
        box = _uncovered(mask)
    left, upper, right, lower = box
    part, marked = pixels[upper:lower, left:right], mask[upper:lower, left:right]
    if not marked.any():
        return np.ascontiguousarray(part), box
    if marked.all():
        return pixels, (0, 0, width, height)
    bgr = np.ascontiguousarray(part[..., ::-1])
    filled = cv2.inpaint(bgr, marked.astype(np.uint8), _INPAINT_RADIUS, cv2.INPAINT_TELEA)
    return np.where(marked[..., None], filled[..., ::-1], part).astype(np.uint8), box


def _uncovered(mask: Mask) -> Box:
    """Cuts borders off while they are marked over most of their length."""
    height, width = mask.shape
    rows, columns = mask.mean(axis=1) > 0.9, mask.mean(axis=0) > 0.9
    edges = []
    for line in (columns, rows):
        most = int(_CROP_LOSS * len(line))
        first = int(np.argmin(line)) if not line.all() else 0
        last = int(np.argmin(line[::-1])) if not line.all() else 0
        edges.append((first if first <= most else 0, last if last <= most else 0))
    (left, right), (upper, lower) = edges
    return left, upper, width - right, height - lower


def _within(box: Box, area: Mask) -> bool:
    left, upper, right, lower = box
    return bool(area[upper:lower, left:right].mean() > 0.5)


def _enlarged(mark: Annotation, small: tuple[int, ...], whole: tuple[int, ...]) -> Annotation:
    """The annotation in the pixels of the photograph itself."""
    if small[:2] == whole[:2]:
        return mark
    down, across = whole[0] / small[0], whole[1] / small[1]
    left, upper, right, lower = mark.box
    box = (
        int(left * across),
        int(upper * down),
        min(whole[1], round(right * across)),
        min(whole[0], round(lower * down)),
    )
    size = box[2] - box[0], box[3] - box[1]
    mask = cv2.resize(mark.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return Annotation(mark.kind, box, mask > 0)


def _components(mask: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Labels, and of every component but the background left, upper, width, height and area."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return np.asarray(labels, np.int32), np.asarray(statistics, np.int32)


def _corner_text(pixels: NDArray[np.uint8], strokes: NDArray[np.uint8]) -> list[Annotation]:
    """Bold white text or a logo of thin lines near a corner."""
    height, width = strokes.shape
    darkest = pixels.min(axis=2)
    bright = ((strokes > 30) & (darkest > 110)).astype(np.uint8)
    joined = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, np.ones((7, 9), np.uint8))
    gradient = cv2.morphologyEx(darkest, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    labels, statistics = _components(joined)
    found = []
    for number, (left, upper, wide, high, _) in enumerate(statistics.tolist()):
        x, y = (left + wide / 2) / width, (upper + high / 2) / height
        near = min(x, 1 - x) < 0.42 and min(y, 1 - y) < 0.32
        too_large = wide * high > _TEXT_LARGEST * width * height
        if number == 0 or wide < 18 or high < 6 or too_large or not near:
            continue
        window = np.s_[upper : upper + high, left : left + wide]
        own = (bright[window] > 0) & (labels[window] == number)
        parts = sum(area >= 3 for area in _components(own.astype(np.uint8))[1][1:, 4].tolist())
        rim = cv2.dilate(own.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        if (
            parts >= _TEXT_PARTS
            and _TEXT_SHARE[0] < own.mean() < _TEXT_SHARE[1]
            and strokes[window][own].mean() > _TEXT_CONTRAST
            and gradient[window][rim].mean() > _TEXT_EDGE
        ):
            found.append(Annotation("logo", (left, upper, left + wide, upper + high), own))
    return found


def _banners(pixels: NDArray[np.uint8]) -> list[Annotation]:
    """Even strips along a border with a straight edge across the whole picture."""
    found = []
    height, width = pixels.shape[:2]
    for side in range(4):
        # Every border is looked at as if it were the lower one.
        turned = np.rot90(pixels, -side).astype(np.int16)
        # Captions run along the top or bottom; at the sides a backdrop looks the same.
        thickness = _strip(turned, _BANNER_THICKNESS[1] if side % 2 == 0 else _SIDE_THICKNESS)
        if not thickness:
            continue
        box = {
            0: (0, height - thickness, width, height),
            1: (width - thickness, 0, width, height),
            2: (0, 0, width, thickness),
            3: (0, 0, thickness, height),
        }[side]
        shape = box[3] - box[1], box[2] - box[0]
        found.append(Annotation("banner", box, np.ones(shape, dtype=bool)))
    return found


def _strip(pixels: NDArray[np.int16], most: float) -> int:
    """Thickness of an even strip at the lower border, a share `most` at most; 0 for none."""
    thinnest, thickest = round(_BANNER_THICKNESS[0] * len(pixels)), round(most * len(pixels))
    pixels = pixels[-(thickest + _ABOVE_STRIP) :]
    height = len(pixels)
    # Twice the colour, as a median of an even number may lie between two grey levels.
    colour = np.rint(2 * np.median(pixels[-3:].reshape(-1, 3), axis=0)).astype(np.int16)
    even = (_largest(2 * pixels - colour) <= 2 * _BANNER_EVEN).mean(axis=1)
    # The step between the rows before and after each row: a strip's edge takes three of them.
    steps = _largest(pixels[:-3] - pixels[3:])
    straight = (steps > _BANNER_STEP).mean(axis=1) >= _BANNER_STRAIGHT
    for thickness in range(max(4, thinnest), min(thickest, height - 3) + 1):
        edge = height - thickness
        inside = even[edge + 1 :]
        if (
            straight[edge - 2]
            # Letters take a part of some rows; the strip as a whole is of one colour.
            and np.median(inside) >= _BANNER_SHARE
            and inside.min() >= 0.35
            and even[max(0, edge - _ABOVE_STRIP) : edge - 1].mean() < 0.3
        ):
            return thickness
    return 0


def _largest(differences: NDArray[np.int16]) -> NDArray[np.int16]:
    """The largest of the three channels' magnitudes; several times faster than a reduction."""
    red, green, blue = (np.abs(differences[:, :, channel]) for channel in range(3))
    return np.maximum(np.maximum(red, green), blue)


def _pen(pixels: NDArray[np.uint8]) -> list[Annotation]:
    """Thin blue or violet lines on skin."""
    height, width = pixels.shape[:2]
    longer = max(height, width)
    hue, saturation, _ = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV))
    ink = (hue > _PEN_HUES[0]) & (hue < _PEN_HUES[1]) & (saturation > _PEN_SATURATION)
    if cv2.erode(ink.astype(np.uint8), np.ones((9, 9))).mean() > _PEN_BACKDROP:
        # Blue cloth seen between two limbs is thin and dark as well.
        return []
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    size = 2 * max(3, round(_PEN_THICKNESS * longer / 2)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    thin = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel) > _PEN_DARKER
    line = cv2.morphologyEx((ink & thin).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5)))
    labels, statistics = _components(line)
    skin: Mask | None = None
    found = []
    for number, (left, upper, wide, high, _) in enumerate(statistics.tolist()):
        if number == 0 or np.hypot(wide, high) < _PEN_LENGTH * longer:
            continue
        if min(left, upper) < 2 or left + wide > width - 2 or upper + high > height - 2:
            continue  # what runs out of the picture may be its background
        own = (labels == number).astype(np.uint8)
        if 2 * cv2.distanceTransform(own, cv2.DIST_L2, 3).max() > size:
            continue
        skin = skin_mask(pixels) if skin is None else skin
        ring = (cv2.dilate(own, np.ones((13, 13))) > 0) & ~(cv2.dilate(own, np.ones((5, 5))) > 0)
        if skin[ring].mean() < _PEN_ON_SKIN:
            continue
        window = np.s_[upper : upper + high, left : left + wide]
        found.append(Annotation("pen", (left, upper, left + wide, upper + high), own[window] > 0))
    return found


def _rulers(pixels: NDArray[np.uint8]) -> list[Annotation]:
    """Rows or columns of equally spaced ticks."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    ticks = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((7, 7), np.uint8))
    found = []
    for turned in (False, True):
        picture = ticks.T if turned else ticks
        height = len(picture)
        best: tuple[float, int, int, int] | None = None
        for upper in range(0, height - _RULER_BAND + 1, _RULER_BAND // 2):
            band = picture[upper : upper + _RULER_BAND].astype(np.float64)
            regular, first, last = _periodic(band.mean(axis=0))
            if regular > _RULER_REGULAR and (best is None or regular > best[0]):
                best = regular, upper, first, last
        if best is not None:
            _, upper, left, right = best
            upper, lower = max(0, upper - 6), min(height, upper + _RULER_BAND + 6)
            box = (upper, left, lower, right) if turned else (left, upper, right, lower)
            shape = box[3] - box[1], box[2] - box[0]
            found.append(Annotation("ruler", box, np.ones(shape, dtype=bool)))
    return found


def _periodic(profile: NDArray[np.float64]) -> tuple[float, int, int]:
    """How regular ticks are over their run, and the run's first and last place."""
    none = 0.0, 0, 0
    smooth = cv2.blur(profile[None], (31, 1)).ravel()
    signal = profile - smooth
    energy = np.sqrt(np.maximum(cv2.blur((signal**2)[None], (41, 1)).ravel(), 0))
    strong = np.flatnonzero(energy > _RULER_CONTRAST)
    if len(strong) == 0 or strong[-1] - strong[0] < _RULER_LENGTH * len(profile):
        return none
    run = signal[strong[0] : strong[-1] + 1]
    run = run - run.mean()
    lags = range(_RULER_LAGS[0], min(_RULER_LAGS[1], len(run) // 4))
    power = float(run @ run) + 1e-9
    likeness = {lag: float(run[lag:] @ run[:-lag]) / power for lag in lags}
    if not likeness:
        return none
    lag = max(likeness, key=lambda lag: likeness[lag])
    twice = float(run[2 * lag :] @ run[: -2 * lag]) / power
    # The farther the shift, the less of the run is left to agree.
    share = 1 - lag / len(run), 1 - 2 * lag / len(run)
    return min(likeness[lag] / share[0], twice / share[1]), int(strong[0]), int(strong[-1]) + 1
