"""Skin tone: the individual typology angle (ITA) and its usual bins.

ITA = atan2(L* - 50, b*) in degrees (Chardon, Cretois, Hourseau, 1991), in CIELAB under D65. On
photographs it is no measurement of skin, since light and camera move it, but it tells how
far two collections are apart.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab

from hzsynth.data.lesion import lesion_mask
from hzsynth.data.skin import skin_mask

TONE_BINS = ("dark", "brown", "tan", "intermediate", "light", "very light")
"""From the smallest angle to the largest; the borders are -30, 10, 28, 41 and 55 degrees."""

_BORDERS = (-30.0, 10.0, 28.0, 41.0, 55.0)
_SIDE = 160
_LEAST_SKIN = 0.02


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
    """The name of an angle's bin (see `TONE_BINS`); an upper border belongs to its bin."""
    return TONE_BINS[int(np.searchsorted(_BORDERS, ita, side="left"))]


def skin_angle(pixels: NDArray[np.uint8], lesion: NDArray[np.bool_] | None = None) -> float:
    """The typology angle of the skin outside the lesion.

    Args:
        pixels: H x W x 3, uint8 sRGB.
        lesion: H x W, True inside the lesion; None: it is looked for.

    Returns:
        Degrees; of the whole picture when hardly any healthy skin is left.
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
    return individual_typology_angle(pixels, healthy if healthy.mean() > _LEAST_SKIN else skin)
