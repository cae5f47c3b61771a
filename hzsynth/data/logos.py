"""Logos that an archive laid over its photographs: learned from a set, found in each picture.

A logo is the one thing that many different photographs share at the same place. The thin bright
strokes of every picture (a white top-hat of the darkest channel, so that skin stays dark) are
laid over each other: skin averages out, a logo stays. From pictures that agree, a template is
made; the rest is searched again, so that several logos at one place are told apart. Nothing is
learned ahead of time, and no logo is part of the program.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.parallel import parallel_map
from hzsynth.core.progress import SILENT, Progress

WORKING_SIDE = 384
"""Longer side at which strokes are looked for, pixels."""
_STROKE = 25
_TOP_HAT = 9
_FEWEST = 5
_LEARNED_FROM = 1000
_ROUNDS = 4
_MOST_LOGOS = 6
# Share of the pictures of one shape that have a stroke at a pixel of the logo, at least.
_OFTEN = 0.06
_TEXTURE = 3.0
_SMALLEST = 60
_GAP = 13
# Correlation of a picture's strokes with a template. Of 558 clinical photographs none lies between
# .39 and .55: those with the logo are above, those without below.
_PAIR, _MEMBER, _ALIKE = 0.5, 0.5, 0.45
# A logo's other parts lie at most so far from the part that was noticed first, pixels.
_APART = 31
_SCALES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.6)
_REACH = 0.08

Map = NDArray[np.uint8]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class LogoTemplate:
    """The strokes of a logo.

    Attributes:
        strokes: h x w float32, mean top-hat over the pictures that have it, grey levels.
        place: centre of the logo as shares of width and height.
        pictures: number of pictures that it was learned from.
    """

    strokes: NDArray[np.float32]
    place: tuple[float, float]
    pictures: int


@dataclass(frozen=True)
class FoundLogo:
    """A logo in a stroke map.

    Attributes:
        box: left, upper, right, lower, pixels of the map.
        strokes: bool, the shape of the box: where the logo is.
        score: correlation with its template.
    """

    box: Box
    strokes: NDArray[np.bool_]
    score: float


def stroke_map(pixels: NDArray[np.uint8]) -> Map:
    """Thin bright strokes of a picture.

    Args:
        pixels: H x W x 3 uint8 sRGB.

    Returns:
        h x w uint8, the longer side at most 384 pixels: how much brighter than its surroundings
        the darkest channel is, where that is narrower than 9 pixels.
    """
    darkest = working_copy(pixels).min(axis=2)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_TOP_HAT, _TOP_HAT))
    hat = cv2.subtract(darkest, cv2.morphologyEx(darkest, cv2.MORPH_OPEN, kernel))
    return np.asarray(hat, np.uint8)


def working_copy(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, reduced to 384 pixels on its longer side if it is larger."""
    height, width = pixels.shape[:2]
    scale = WORKING_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def learn_logos(maps: Sequence[Map]) -> tuple[LogoTemplate, ...]:
    """Finds what different photographs share at the same place.

    Args:
        maps: stroke maps of different photographs (copies of one photograph share everything).

    Returns:
        Templates, those of most pictures first; none where nothing is shared by five or more.
    """
    shapes: dict[tuple[int, int], list[Map]] = defaultdict(list)
    for strokes in maps:
        # A few pixels of height make no other format of photograph.
        key = (round(strokes.shape[0] / 4) * 4, round(strokes.shape[1] / 4) * 4)
        if min(key) >= 2 * _TOP_HAT:
            shapes[key].append(np.asarray(cv2.resize(strokes, key[::-1]), np.uint8))
    found: list[LogoTemplate] = []
    for group in shapes.values():
        if len(group) >= _FEWEST:
            found += _learn(np.stack(group))
    return tuple(sorted(found, key=lambda logo: -logo.pictures))


def _learn(stack: NDArray[np.uint8]) -> list[LogoTemplate]:
    """Templates of pictures of one shape: n x h x w."""
    height, width = stack.shape[1:]
    rest = np.ones(len(stack), dtype=bool)
    found = []
    for _ in range(_MOST_LOGOS):
        box = _shared_place(stack[rest])
        if box is None:
            break
        left, upper, right, lower = box
        windows = stack[:, upper:lower, left:right].astype(np.float32)
        members = _members(windows, rest)
        if members.sum() < _FEWEST:
            break
        left, upper, right, lower = _whole(stack[members], box)
        strokes = stack[members, upper:lower, left:right].astype(np.float32).mean(axis=0)
        place = (left + right) / 2 / width, (upper + lower) / 2 / height
        found.append(LogoTemplate(strokes, place, int(members.sum())))
        rest &= ~members
        if rest.sum() < _FEWEST:
            break
    return found


def _shared_place(stack: NDArray[np.uint8]) -> Box | None:
    """Where strokes recur far more often than the texture of skin does there."""
    often = (stack > _STROKE).mean(axis=0).astype(np.float32)
    texture = cv2.blur(often, (61, 61), borderType=cv2.BORDER_REFLECT)
    least = max(_OFTEN, (_FEWEST - 0.5) / len(stack))
    marked = ((often > least) & (often > _TEXTURE * texture + 0.02)).astype(np.uint8)
    joined = cv2.morphologyEx(marked, cv2.MORPH_CLOSE, np.ones((_GAP, _GAP), np.uint8))
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    if count < 2:
        return None
    weight = np.bincount(labels.ravel(), weights=(marked * often).ravel(), minlength=count)
    weight[0] = 0
    best = int(weight.argmax())
    if (marked[labels == best]).sum() < _SMALLEST:
        return None
    left, upper, wide, high = (int(v) for v in statistics[best, :4])
    return left, upper, left + wide, upper + high


def _whole(members: NDArray[np.uint8], box: Box) -> Box:
    """The box of the whole logo: all strokes nearby that most of its pictures have."""
    often = ((members > _STROKE).mean(axis=0) > 0.5).astype(np.uint8)
    joined = cv2.morphologyEx(
        np.pad(often, _APART), cv2.MORPH_CLOSE, np.ones((_APART, _APART), np.uint8)
    )[_APART:-_APART, _APART:-_APART]
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    left, upper, right, lower = box
    inside = np.bincount(labels[upper:lower, left:right].ravel(), minlength=len(statistics))
    inside[0] = 0
    if not inside.any():
        return box
    x, y, wide, high = (int(v) for v in statistics[int(inside.argmax()), :4])
    return min(left, x), min(upper, y), max(right, x + wide), max(lower, y + high)


def _members(windows: NDArray[np.float32], rest: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pictures show the same strokes.

    Begins with the picture that most others are like and those, so that of two logos one is taken;
    then those that agree with the mean of those that agree.
    """
    flat = windows[rest].reshape(int(rest.sum()), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    alike = flat @ flat.T > _PAIR
    members = np.zeros(len(windows), dtype=bool)
    members[np.flatnonzero(rest)[alike[int(alike.sum(axis=1).argmax())]]] = True
    for _ in range(_ROUNDS):
        if members.sum() < _FEWEST:
            break
        template = windows[members].mean(axis=0)
        members = rest & (_correlations(windows, template) > _MEMBER)
    return members


def _correlations(
    windows: NDArray[np.float32], template: NDArray[np.float32]
) -> NDArray[np.float32]:
    flat = windows.reshape(len(windows), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    wanted = template.ravel() - template.mean()
    norms = np.linalg.norm(flat, axis=1) * np.linalg.norm(wanted)
    return np.asarray(flat @ wanted / np.maximum(norms, 1e-6), np.float32)


def find_logos(strokes: Map, templates: Sequence[LogoTemplate]) -> tuple[FoundLogo, ...]:
    """Looks for known logos near the place where they were learned, in several sizes.

    Args:
        strokes: a stroke map.
        templates: see `learn_logos`.

    Returns:
        What was found; of logos that overlap only the one that fits best.
    """
    found = [logo for template in templates if (logo := _best(strokes, template)) is not None]
    kept: list[FoundLogo] = []
    for logo in sorted(found, key=lambda logo: -logo.score):
        if not any(_overlap(logo.box, other.box) for other in kept):
            kept.append(logo)
    return tuple(kept)


def _best(strokes: Map, template: LogoTemplate) -> FoundLogo | None:
    height, width = strokes.shape
    source = strokes.astype(np.float32)
    best: FoundLogo | None = None
    for scale in _SCALES:
        size = [max(4, round(side * scale)) for side in template.strokes.shape]
        reach = [round(_REACH * side) for side in (height, width)]
        middle = template.place[1] * height, template.place[0] * width
        start = [max(0, round(m - s / 2) - r) for m, s, r in zip(middle, size, reach, strict=True)]
        end = [round(m + s / 2) + r for m, s, r in zip(middle, size, reach, strict=True)]
        window = source[start[0] : end[0], start[1] : end[1]]
        if window.shape[0] < size[0] or window.shape[1] < size[1]:
            continue
        patch = cv2.resize(template.strokes, size[::-1], interpolation=cv2.INTER_AREA)
        scores = cv2.matchTemplate(window, patch, cv2.TM_CCOEFF_NORMED)
        score = float(scores.max())
        if score < _ALIKE or (best is not None and score <= best.score):
            continue
        row, column = np.unravel_index(int(scores.argmax()), scores.shape)
        upper, left = start[0] + int(row), start[1] + int(column)
        box = left, upper, left + size[1], upper + size[0]
        best = FoundLogo(box, patch > _STROKE / 2, score)
    return best


def _overlap(first: Box, second: Box) -> bool:
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    return wide > 0 and high > 0


def learn_logos_of_set(
    images: ImageSet, *, workers: int = 0, progress: Progress = SILENT
) -> tuple[LogoTemplate, ...]:
    """Learns the logos that a set's photographs share, from 1,000 of them at most.

    Args:
        images: the set; files that cannot be read are passed over.
        workers: processes; 0 takes every available processor.
        progress: where progress is shown.

    Returns:
        See `learn_logos`.
    """
    chosen = np.unique(np.linspace(0, len(images) - 1, _LEARNED_FROM).astype(int))
    records = [images.records[i] for i in chosen] if len(images) else []
    maps = []
    with progress.task("looking for logos", total=len(records), unit="img") as task:
        for strokes in parallel_map(partial(_strokes_of, images.root), records, workers):
            if strokes is not None:
                maps.append(strokes)
            task.advance(1)
    return learn_logos(maps)


def _strokes_of(root: Path, record: ImageRecord) -> Map | None:
    images = ImageSet(root, (record,))
    try:
        return stroke_map(images.read_pixels(record))
    except InputError:
        return None
