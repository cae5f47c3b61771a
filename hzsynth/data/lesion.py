"""Where the inflamed skin is: a redness prior and Otsu's threshold on CIELAB a*.

Light that falls off, or warm light from one side, changes a* slowly over the whole picture; a
lesion changes it on a smaller scale. So a smooth quadratic surface, fitted robustly to the healthy
skin, is subtracted before the threshold (Otsu, 1979). No training and no model: the mask
says where skin is redder than the rest of the skin in the same picture. It is a helper for crops
and masked losses, not a diagnosis.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_closing,
    binary_erosion,
    binary_fill_holes,
    binary_opening,
    gaussian_filter,
)
from skimage.color import rgb2lab
from skimage.filters import threshold_otsu
from skimage.morphology import disk, remove_small_objects

from hzsynth.data.skin import skin_mask

# Units of a*. Two halves of healthy skin differ by less than the first once the light's surface is
# gone; without that step only the second is beyond what light does.
_CONTRAST, _CONTRAST_UNDER_LIGHT = 3.8, 6.0
# Units of CIELAB distance; shading over a limb stays below.
_SALIENCE = 12.0
_MOST = 0.6
_LEAST_SKIN = 0.02
_LEAST_SHARE = 0.002
_FIT_ROUNDS = 4
_FIT_PIXELS = 6000


def redness(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Smoothed CIELAB a*.

    Args:
        pixels: H x W x 3, uint8 sRGB.

    Returns:
        H x W; about 10 on healthy skin, 20 to 40 on inflamed skin.
    """
    scale = 0.008 * max(pixels.shape[:2])
    smooth: NDArray[np.float64] = gaussian_filter(rgb2lab(pixels)[..., 1], scale)
    return smooth


def lesion_mask(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Marks skin that is clearly redder than the rest of the skin.

    Args:
        pixels: H x W x 3, uint8 sRGB.

    Returns:
        H x W, True inside the lesion; nothing is marked when no part stands out.
    """
    skin = binary_erosion(skin_mask(pixels), iterations=2, border_value=1)
    if skin.mean() < _LEAST_SKIN:
        return np.zeros(skin.shape, dtype=bool)
    red = redness(pixels)
    marked = _stands_out(_without_light(red, skin), skin, _CONTRAST)
    if not marked.any():
        # A redness as large as the picture goes with the light's surface: look without it.
        marked = _stands_out(red, skin, _CONTRAST_UNDER_LIGHT)
    return _cleaned(marked)


def salient_mask(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the lesion is, by redness, or else by any colour that stands out from the skin.

    Crusts, scars, ulcers and pigment are not redder than skin: without a red part, skin whose
    CIELAB colour differs most from the typical skin is taken (Otsu's threshold).

    Args:
        pixels: H x W x 3, uint8 sRGB.

    Returns:
        H x W, True inside; nothing is marked when no part stands out.
    """
    red = lesion_mask(pixels)
    if 0 < red.mean() < _MOST:
        return red
    # Nothing is red, or nearly all is: then the skin is redder than a crust, and not the lesion.
    skin = binary_erosion(skin_mask(pixels), iterations=2, border_value=1)
    if skin.mean() < _LEAST_SKIN:
        return red
    colour = rgb2lab(pixels)
    difference = np.sqrt(((colour - np.median(colour[skin], axis=0)) ** 2).sum(axis=-1))
    smooth = gaussian_filter(difference, 0.02 * max(pixels.shape[:2]))
    # The skin's own surface: a lesion may be no skin by its colour, but lies within it.
    around = binary_fill_holes(binary_closing(skin, disk(max(1, round(0.02 * len(skin))))))
    salient = _cleaned(_stands_out(smooth, around, _SALIENCE))
    return salient if salient.any() else red


def _without_light(red: NDArray[np.float64], skin: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Subtracts a quadratic surface that is fitted to the skin, with the redder part left out."""
    height, width = red.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    # Six numbers are fitted: a few thousand pixels are enough.
    step = max(1, round((height * width / _FIT_PIXELS) ** 0.5))
    every = (slice(None, None, step), slice(None, None, step))
    inside = skin[every].ravel()
    terms, values = _quadratic(x[every], y[every])[inside], red[every].ravel()[inside]
    weights: NDArray[np.floating] = np.zeros(terms.shape[1])
    chosen = np.ones(len(values), dtype=bool)
    for _ in range(_FIT_ROUNDS):
        if chosen.sum() < terms.shape[1] * 8:
            break
        weights = np.linalg.lstsq(terms[chosen], values[chosen], rcond=None)[0]
        residual = values - terms @ weights
        deviation = 1.48 * float(np.median(np.abs(residual))) + 1e-6
        chosen = (residual < deviation) & (residual > -2.5 * deviation)
    flat: NDArray[np.float64] = red - (_quadratic(x, y) @ weights).reshape(height, width)
    return flat


def _quadratic(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)


def _stands_out(
    red: NDArray[np.float64], skin: NDArray[np.bool_], contrast: float
) -> NDArray[np.bool_]:
    values = red[skin]
    if float(np.ptp(values)) < contrast:
        return np.zeros(skin.shape, dtype=bool)
    threshold = float(threshold_otsu(values))
    above = values > threshold
    if float(np.median(values[above]) - np.median(values[~above])) < contrast:
        return np.zeros(skin.shape, dtype=bool)
    return skin & (red > threshold)


def _cleaned(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Closes gaps, fills holes and drops specks."""
    radius = max(1, round(0.006 * max(marked.shape)))
    # Padding keeps the filters from eroding what touches the border.
    padded = binary_opening(np.pad(marked, radius, mode="edge"), disk(1))
    closed = binary_closing(padded, disk(radius))[radius:-radius, radius:-radius]
    largest_speck = max(1, int(_LEAST_SHARE * marked.size))
    filled = binary_fill_holes(closed)
    kept: NDArray[np.bool_] = remove_small_objects(filled, max_size=largest_speck)
    return kept
