"""Weather: snow, frost, fog, brightness and, for tuning, spatter."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hzsynth.classify.evaluate.imagenet_c.blur import line_blur, smooth, zoomed
from hzsynth.classify.evaluate.imagenet_c.digital import brighter

Floats = NDArray[np.float32]

_FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))
_FROST = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
_BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
_SNOW = (
    (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
_SPATTER = ((0.65, 0.3, 4, 0.69), (0.65, 0.3, 3, 0.68), (0.65, 0.3, 2, 0.68))
_MUD = ((0.65, 0.3, 1, 0.65, 1.5), (0.67, 0.4, 1, 0.65, 1.5))
_WATER_STRENGTH = (0.6, 0.6, 0.5)
_WATER = np.array([175, 238, 238], np.float32) / np.float32(255)
_EARTH = np.array([63, 42, 20], np.float32) / np.float32(255)
_ICE = np.array([0.86, 0.94, 1.0], np.float32)


def plasma(side: int, decay: float, rng: np.random.Generator) -> Floats:
    """A cloud by the diamond-square algorithm on a torus (Fournier et al., CACM 1982).

    Args:
        side: a power of two, pixels.
        decay: by which the jumps shrink from one scale to the next: the larger, the smoother.
        rng: of the jumps.

    Returns:
        side x side in [0, 1].
    """
    cloud = np.zeros((side, side))
    step, jump = side, 1.0
    while step >= 2:
        half = step // 2
        corners = cloud[::step, ::step]
        middle = corners + np.roll(corners, -1, 0)
        middle = (middle + np.roll(middle, -1, 1)) / 4
        middle = middle + jump * rng.uniform(-1, 1, middle.shape)
        cloud[half::step, half::step] = middle
        for axis, target in ((0, (0, half)), (1, (half, 0))):
            around = middle + np.roll(middle, 1, axis) + corners + np.roll(corners, -1, 1 - axis)
            cloud[target[0] :: step, target[1] :: step] = around / 4 + jump * rng.uniform(
                -1, 1, corners.shape
            )
        step, jump = half, jump / decay
    cloud -= cloud.min()
    return np.asarray(cloud / cloud.max(), np.float32)


def _cloud(height: int, width: int, decay: float, rng: np.random.Generator) -> Floats:
    side = 1 << (max(height, width) - 1).bit_length()
    return plasma(max(side, 2), decay, rng)[:height, :width]


def fog(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Adds a cloud 1.5 to 3 times as bright as white and darkens all to the old range."""
    strength, decay = _FOG[severity - 1]
    brightest = np.float32(image.max())
    thick = (
        image + np.float32(strength) * _cloud(image.shape[0], image.shape[1], decay, rng)[..., None]
    )
    return thick * (brightest / (brightest + np.float32(strength)))


def ice(height: int, width: int, rng: np.random.Generator) -> Floats:
    """A picture of ice on a pane: bright needles along the ridges of warped clouds, H x W x 3."""
    clouds = [_cloud(height, width, decay, rng) for decay in (1.9, 1.9, 1.6, 1.35)]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    bend = 0.25 * min(height, width)
    ridges = []
    for cloud, sharpness in zip(clouds[2:], (6.0, 3.0), strict=True):
        ridge = (1 - np.abs(2 * cloud - 1)) ** sharpness
        warped = cv2.remap(
            ridge,
            columns + bend * (clouds[0] - 0.5),
            rows + bend * (clouds[1] - 0.5),
            interpolation=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        ridges.append(np.asarray(warped, np.float32))
    needles = np.clip(0.45 + 0.65 * ridges[0] + 0.45 * ridges[1] * clouds[0], 0, 1)
    return needles[..., None] * _ICE


def frost(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Dims the picture and lays ice over it."""
    kept, laid = (np.float32(value) for value in _FROST[severity - 1])
    return kept * image + laid * ice(image.shape[0], image.shape[1], rng)


def brightness(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Adds .1 to .5 to the value of HSV."""
    return brighter(image, 1.0, _BRIGHTNESS[severity - 1], 2)


def snow(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Makes the picture paler and lets flakes fall, smeared along two directions."""
    mean, spread, size, least, length, sigma, kept = _SNOW[severity - 1]
    height, width = image.shape[:2]
    flakes = zoomed(rng.normal(mean, spread, (height, width)).astype(np.float32), size)
    flakes[flakes < least] = 0
    flakes = line_blur(np.clip(flakes, 0, 1), int(length), sigma, rng.uniform(-135, -45))
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)[..., None]
    paler = np.maximum(image, grey * np.float32(1.5) + np.float32(0.5))
    pale = np.float32(kept) * image + np.float32(1 - kept) * paler
    turned = cv2.resize(np.rot90(flakes, 2), (width, height))
    return np.asarray(pale + (flakes + turned)[..., None], np.float32)


def spatter(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Drops of water (1 to 3) or mud (4, 5)."""
    shape = image.shape[:2]
    if severity > len(_SPATTER):
        mean, spread, sigma, least, soft = _MUD[severity - len(_SPATTER) - 1]
        wet = smooth(rng.normal(mean, spread, shape), sigma)
        mask = smooth((wet > least).astype(np.float32), soft)
        mask[mask < 0.8] = 0
        return image * (1 - mask[..., None]) + mask[..., None] * _EARTH
    mean, spread, sigma, least = _SPATTER[severity - 1]
    wet = smooth(rng.normal(mean, spread, shape), sigma)
    wet[wet < least] = 0
    drops = np.clip(wet * 255, 0, 255).astype(np.uint8)
    away = cv2.distanceTransform(255 - cv2.Canny(drops, 50, 150), cv2.DIST_L2, 5)
    near = cv2.blur(np.minimum(np.asarray(away), 20).astype(np.uint8), (3, 3))
    relief = cv2.filter2D(
        cv2.equalizeHist(near),
        cv2.CV_8U,
        np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32),
    )
    shine = wet * np.asarray(cv2.blur(relief, (3, 3)), np.float32)
    peak = float(shine.max())
    if peak > 0:
        shine = shine / peak * np.float32(_WATER_STRENGTH[severity - 1])
    return image + shine[..., None] * _WATER
