"""Which pixels may be skin, by their colour."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening
from skimage.color import rgb2lab


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
