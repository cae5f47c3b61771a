"""Skin tone: the individual typology angle (ITA) and its usual bins.

ITA = atan2(L* - 50, b*) in degrees (Chardon, Cretois, Hourseau, 1991), in CIELAB under D65. On
photographs it is no measurement of skin, since light and camera move it, but it tells how
far two collections are apart.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening
from skimage.color import rgb2lab

TONE_BINS = ("dark", "brown", "tan", "intermediate", "light", "very light")
"""From the smallest angle to the largest; the borders are -30, 10, 28, 41 and 55 degrees."""

_BORDERS = (-30.0, 10.0, 28.0, 41.0, 55.0)


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


def skin_mask(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Finds the pixels that may be skin, healthy or inflamed, by their colour.

    Skin of any tone has a hue between red and yellow and a middling chroma; cloth in blue,
    green, black or white and an archive's white logo have not.

    Args:
        pixels: H x W x 3, uint8 sRGB.

    Returns:
        H x W, True where the colour is that of skin.
    """
    lab = rgb2lab(pixels)
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    likely = (
        (lab[..., 0] > 15)
        & (lab[..., 0] < 97)
        & (hue > -12)
        & (hue < 98)
        & (chroma > 6)
        & (chroma < 70)
    )
    opened: NDArray[np.bool_] = binary_opening(likely)
    return opened
