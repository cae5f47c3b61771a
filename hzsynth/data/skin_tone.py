"""Skin tone: the individual typology angle (ITA) and its usual bins.

ITA = atan2(L* - 50, b*) in degrees (Chardon, Cretois, Hourseau, 1991), in CIELAB under D65. On
photographs it is no measurement of skin, since light and camera move it, but it tells how
far two collections are apart. Inflamed skin, a dark exposure, coloured light and wood give angles as
well, mostly those of dark skin: where the colour is not that of skin in fair light, the tone is not told.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab

from hzsynth.data.lesion import lesion_mask
from hzsynth.data.skin import skin_mask

TONE_BINS = ("dark", "brown", "tan", "intermediate", "light", "very light")
"""From the smallest angle to the largest; the borders are -30, 10, 28, 41 and 55 degrees."""

_BORDERS = (-30.0, 10.0, 28.0, 41.0, 55.0)
UNCLEAR = "unclear"
"""In place of a bin where the tone is not told."""
_SIDE = 160
_LEAST_SKIN = 0.05
# Chosen on the 525 distinct clinical photographs of nine classes, every bin looked at: hue and chroma of skin
# lie within; dark skin is yellower than skin that is red and for that dark.
_LEAST_CHROMA, _MOST_CHROMA = 9, 38
_LEAST_HUE, _MOST_HUE = 42, 78
_LEAST_HUE_OF_DARK, _DARK = 47, 55
_MOST_SPREAD = 22
# A dark reading counts where something in the picture is bright: else the exposure may be what is dark.
_DIM, _BRIGHT = 52, 78


def individual_typology_angle(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None
) -> float:
    """The typology angle of the typical pixel.

    Args:
        pixels: H x W x 3, uint8 sRGB.
        mask: H x W, True where pixels count; None or an empty mask: all count.

    Returns:
        Degrees in (-180, 180]: of the median L* and the median b*, so that hair, highlights
        and a few stray pixels do not matter.
    """
    chosen = pixels.reshape(-1, 3) if mask is None or not mask.any() else pixels[mask]
    lab = rgb2lab(chosen[None].astype(np.uint8))[0]
    lightness, blue_yellow = np.median(lab[:, 0]), np.median(lab[:, 2])
    return float(np.degrees(np.arctan2(lightness - 50, blue_yellow)))


def tone_bin(ita: float) -> str:
    """The name of an angle's bin (see `TONE_BINS`), or `UNCLEAR` for NaN; an upper border belongs to its bin."""
    if np.isnan(ita):
        return UNCLEAR
    return TONE_BINS[int(np.searchsorted(_BORDERS, ita, side="left"))]


@dataclass(frozen=True)
class SkinTone:
    """What is told of the tone of one photograph.

    Attributes:
        angle: the typology angle, degrees; NaN where it is not told.
        reason: why it is not told, or empty.
    """

    angle: float
    reason: str = ""


def skin_tone(pixels: NDArray[np.uint8], lesion: NDArray[np.bool_] | None = None) -> SkinTone:
    """The tone of the skin outside the lesion, where it can be told.

    Args:
        pixels: H x W x 3, uint8 sRGB.
        lesion: H x W, True inside the lesion; None: it is looked for.

    Returns:
        The angle, or the reason why there is none.
    """
    if lesion is None and max(pixels.shape[:2]) > _SIDE:
        # The typical colour is looked for: a reduced picture has the same one.
        picture = Image.fromarray(pixels)
        picture.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
        pixels = np.asarray(picture)
    skin = skin_mask(pixels)
    if lesion is None or lesion.shape != skin.shape:
        lesion = lesion_mask(pixels)
    healthy = skin & ~lesion
    if healthy.mean() < _LEAST_SKIN:
        return SkinTone(float("nan"), "hardly any healthy skin")
    lab = rgb2lab(pixels)
    reason = _not_told(lab[healthy], float(np.percentile(lab[..., 0], 99)))
    angle = float("nan") if reason else individual_typology_angle(pixels, healthy)
    return SkinTone(angle, reason)


def _not_told(lab: NDArray[np.float64], brightest: float) -> str:
    """Why the colours of what may be skin, N x 3, tell no tone; empty where they do."""
    lightness, red, yellow = np.median(lab, axis=0)
    chroma, hue = np.hypot(red, yellow), np.degrees(np.arctan2(yellow, red))
    if chroma < _LEAST_CHROMA:
        return "hardly any colour"
    if hue < (_LEAST_HUE_OF_DARK if lightness < _DARK else _LEAST_HUE):
        return "inflamed or reddened"
    if hue > _MOST_HUE or chroma > _MOST_CHROMA:
        return "coloured light, or no skin"
    if np.subtract(*np.percentile(lab[:, 0], [75, 25])) > _MOST_SPREAD:
        return "several surfaces, or deep shadow"
    if lightness < _DIM and brightest < _BRIGHT:
        return "too dark a picture"
    return ""


def skin_angle(pixels: NDArray[np.uint8], lesion: NDArray[np.bool_] | None = None) -> float:
    """The typology angle of `skin_tone`, degrees; NaN where it is not told."""
    return skin_tone(pixels, lesion).angle
