"""What about a photograph makes a classifier's answer doubtful: blur, light, size, skin, marks.

The thresholds were set so that they speak of about one in a hundred of 181 clinical photographs
of an atlas (384 x 288 pixels), which a photographer chose to keep; they are no norm.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hzsynth.data.annotations import annotation_mask, find_annotations
from hzsynth.data.image_properties import perceived_blur
from hzsynth.data.logos import working_copy
from hzsynth.data.skin import skin_mask

MOST_BLUR = 0.56
"""Perceptual blur, 0 to 1: 99 % of the atlas lies below."""
DARK_LEVEL, MOST_DARK = 20, 0.5
"""Luma below 20 of 255 holds no colour of skin; 99 % of the atlas has less than half of it."""
LOWEST_MEAN = 60.0
"""Mean luma, 0 to 255: 99 % of the atlas is lighter, dark skin included."""
BRIGHT_LEVEL, MOST_BRIGHT = 250, 0.08
"""Burnt-out pixels have lost their colour; 99 % of the atlas has less than 2 % of them. A white
backdrop is common in clinics, so that a little more is let pass."""
HIGHEST_MEAN = 215.0
"""Mean luma: the atlas ends at 210."""
LEAST_SKIN = 0.25
"""Share of pixels with a colour of skin: 99 % of the atlas has more."""
MOST_ANNOTATED = 0.10
"""Share of pixels under logos, rulers, pen: a logo in a corner covers 3 %, a banner 15 %."""

Problem = Literal["blurred", "too_dark", "too_bright", "too_small", "little_skin", "annotated"]
PROBLEMS: tuple[Problem, ...] = (
    "blurred",
    "too_dark",
    "too_bright",
    "too_small",
    "little_skin",
    "annotated",
)


@dataclass(frozen=True)
class ImageQuality:
    """What was measured on one photograph, and which limits it breaks.

    Attributes:
        width: pixels.
        height: pixels.
        blur: perceptual, 0 (sharp) to 1.
        mean_luma: 0 to 255.
        dark_share: of pixels that are nearly black, 0 to 1.
        bright_share: of pixels that are burnt out, 0 to 1.
        skin_share: of pixels with a colour of skin, 0 to 1.
        annotated_share: of pixels under added marks, 0 to 1.
        annotations: kinds of marks found, sorted; text may tell who the patient is.
        problems: what breaks a limit, in the order of `PROBLEMS`.
    """

    width: int
    height: int
    blur: float
    mean_luma: float
    dark_share: float
    bright_share: float
    skin_share: float
    annotated_share: float
    annotations: tuple[str, ...]
    problems: tuple[Problem, ...]


def measure_quality(pixels: NDArray[np.uint8], input_side: int) -> ImageQuality:
    """Measures one photograph.

    Args:
        pixels: H x W x 3 uint8 sRGB, upright.
        input_side: of the classifier's input, pixels: a photograph whose shorter side is smaller
            was enlarged, which invents detail.

    Returns:
        The measurements with the limits that they break.
    """
    height, width = pixels.shape[:2]
    small = working_copy(pixels)
    luma = small.astype(np.float64) @ (0.2126, 0.7152, 0.0722)  # weights of BT.709
    found = find_annotations(small)
    covered = annotation_mask((small.shape[0], small.shape[1]), found) if found else None
    blur = perceived_blur(pixels)
    mean = float(luma.mean())
    dark, bright = float((luma < DARK_LEVEL).mean()), float((luma > BRIGHT_LEVEL).mean())
    skin = float(skin_mask(small).mean())
    annotated = 0.0 if covered is None else float(covered.mean())
    broken: dict[Problem, bool] = {
        "blurred": blur > MOST_BLUR,
        "too_dark": dark > MOST_DARK or mean < LOWEST_MEAN,
        "too_bright": bright > MOST_BRIGHT or mean > HIGHEST_MEAN,
        "too_small": min(height, width) < input_side,
        "little_skin": skin < LEAST_SKIN,
        "annotated": annotated > MOST_ANNOTATED,
    }
    return ImageQuality(
        width=width,
        height=height,
        blur=blur,
        mean_luma=mean,
        dark_share=dark,
        bright_share=bright,
        skin_share=skin,
        annotated_share=annotated,
        annotations=tuple(sorted({mark.kind for mark in found})),
        problems=tuple(problem for problem in PROBLEMS if broken[problem]),
    )
