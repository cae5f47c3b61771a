"""Words in a photograph: rows of letters, light or dark, along or up the picture.

A letter is a small part of one even colour with sharp edges; a word is five of them or more side by side, of
like height on one line, in white, grey or black. Hair, pores and scales have sharp edges too, but neither one
height nor one line, and the colour of skin. No model and no dictionary: what is handwritten, or shorter than a
word, is not found.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
Mask = NDArray[np.bool_]

_FEWEST = 5
_HEIGHT = 0.014, 0.09
_ASPECT = 0.12, 1.8
_FILLED = 0.2, 0.9
_CONTRAST, _EVEN = 45, 26
_LIKE_HEIGHT, _GAP, _OFF_LINE = 1.9, 1.0, 0.25
# CIELAB; light letters take more of the skin's colour for their own than dark ones.
_MOST_CHROMA = {True: 10, False: 14}
_ONE_SHADE = 16


def find_text_lines(pixels: NDArray[np.uint8]) -> list[tuple[Box, Mask]]:
    """Looks for words.

    Args:
        pixels: H x W x 3, uint8 sRGB, some 512 pixels a side.

    Returns:
        For every word left, upper, right and lower edge, and its strokes: bool, the shape of the box.
    """
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.int16) - 128
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    found = []
    for turned in (False, True):
        # Read from below: what runs up the picture runs along a quarter turn of it.
        view = np.ascontiguousarray(np.rot90(grey, -1) if turned else grey, np.uint8)
        for light in (True, False):
            for box, letters in _lines(view, light):
                if turned:
                    left, upper, right, lower = box
                    box = upper, grey.shape[0] - right, lower, grey.shape[0] - left
                    letters = np.rot90(letters)
                left, upper, right, lower = box
                own = chroma[upper:lower, left:right][letters]
                if float(np.median(own)) <= _MOST_CHROMA[light]:
                    found.append((box, np.ascontiguousarray(letters)))
    return found


def _lines(grey: NDArray[np.uint8], light: bool) -> list[tuple[Box, Mask]]:
    longer = max(grey.shape)
    side = 2 * max(3, round(_HEIGHT[1] * longer / 2)) + 1
    kernel = np.ones((side, side), np.uint8)
    method = cv2.MORPH_TOPHAT if light else cv2.MORPH_BLACKHAT
    strokes = cv2.morphologyEx(grey, method, kernel) > _CONTRAST
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        strokes.astype(np.uint8), connectivity=8
    )
    letters = []
    for number, (left, upper, wide, high, area) in enumerate(statistics.tolist()):
        if number == 0 or not _HEIGHT[0] * longer <= high <= _HEIGHT[1] * longer or high < 6:
            continue
        if not _ASPECT[0] * high <= wide <= _ASPECT[1] * high:
            continue
        if not _FILLED[0] <= area / (wide * high) <= _FILLED[1]:
            continue
        own = labels[upper : upper + high, left : left + wide] == number
        shades = grey[upper : upper + high, left : left + wide][own]
        if float(shades.std()) <= _EVEN:
            letters.append((left, upper, wide, high, float(shades.mean())))
    result = []
    for word in _words(letters):
        # What belongs to the word and is no letter by itself: a joined pair, a dot, a tail, an end.
        tall = max(letter[3] for letter in word)
        left = max(0, min(letter[0] for letter in word) - tall)
        upper = max(0, min(letter[1] for letter in word) - tall // 3)
        right = min(grey.shape[1], max(letter[0] + letter[2] for letter in word) + tall)
        lower = min(grey.shape[0], max(letter[1] + letter[3] for letter in word) + tall // 3)
        result.append(((left, upper, right, lower), strokes[upper:lower, left:right]))
    return result


Letter = tuple[int, int, int, int, float]
"""Left, upper, width, height, and mean grey level."""


def _words(letters: Sequence[Letter]) -> list[list[Letter]]:
    """Chains of letters from left to right."""
    rest = sorted(letters)
    words = []
    while rest:
        chain = [rest.pop(0)]
        for letter in list(rest):
            last = chain[-1]
            tall = max(last[3], letter[3])
            gap = letter[0] - (last[0] + last[2])
            foot = abs(letter[1] + letter[3] - last[1] - last[3])
            like = tall <= _LIKE_HEIGHT * min(last[3], letter[3])
            same = abs(last[4] - letter[4]) <= _ONE_SHADE
            if like and same and -0.2 * tall <= gap <= _GAP * tall and foot <= _OFF_LINE * tall:
                chain.append(letter)
                rest.remove(letter)
        if len(chain) >= _FEWEST:
            words.append(chain)
    return words
