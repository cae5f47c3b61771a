"""Digital: contrast, elastic, pixelate, jpeg and, for tuning, saturate."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Floats = NDArray[np.float32]

_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
_QUALITY = (25, 18, 15, 10, 7)
_KEPT_SIDE = (0.6, 0.5, 0.4, 0.3, 0.25)
_SATURATION = ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2))
_ELASTIC = (
    (2.0, 0.7, 0.1),
    (2.0, 0.08, 0.2),
    (0.05, 0.01, 0.02),
    (0.07, 0.01, 0.02),
    (0.12, 0.01, 0.02),
)
_ELASTIC_SIDE = 244
"""The published strengths are multiples of it (224 was meant, but the figures count)."""


def contrast(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Moves every channel towards its mean, 40 to 5 % of the distance is left."""
    mean = image.mean(axis=(0, 1), keepdims=True, dtype=np.float64).astype(np.float32)
    return np.asarray((image - mean) * _CONTRAST[severity - 1] + mean, np.float32)


def brighter(image: Floats, scale: float, shift: float, channel: int) -> Floats:
    """Scales and shifts saturation (1) or value (2) of HSV, which end at 0 and 1."""
    changed = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    changed[..., channel] = np.clip(changed[..., channel] * scale + shift, 0, 1)
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_HSV2RGB), np.float32)


def saturate(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Takes colour away (1, 2) or adds it (3 to 5)."""
    scale, shift = _SATURATION[severity - 1]
    return brighter(image, scale, shift, 1)


def to_bytes(image: Floats) -> NDArray[np.uint8]:
    """0 to 1 as 0 to 255."""
    return np.asarray(np.clip(image, 0, 1) * 255 + 0.5, np.uint8)


def jpeg(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Compresses as JPEG of quality 25 to 7."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY[severity - 1]]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(to_bytes(image), cv2.COLOR_RGB2BGR), settings)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert done
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.float32) / np.float32(255)


def pixelate(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Reduces to 60 to 25 % of the side, means over areas, and enlarges without smoothing."""
    height, width = image.shape[:2]
    kept = _KEPT_SIDE[severity - 1]
    picture = Image.fromarray(to_bytes(image))
    small = picture.resize((int(width * kept), int(height * kept)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BOX), np.float32) / np.float32(
        255
    )


def elastic_transform(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Shears a little and shifts neighbouring pixels by smoothly varying distances."""
    strength, sigma, shear = (value * _ELASTIC_SIDE for value in _ELASTIC[severity - 1])
    height, width = image.shape[:2]
    y, x, third = height / 2, width / 2, min(height, width) // 3
    points = np.array([[y + third, x + third], [y + third, x - third], [y - third, x - third]])
    moved = points + rng.uniform(-shear, shear, points.shape)
    matrix = cv2.getAffineTransform(points.astype(np.float32), moved.astype(np.float32))
    sheared = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    right, down = (smooth_noise(rng, height, width, sigma) * np.float32(strength) for _ in range(2))
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    bent = cv2.remap(
        np.asarray(sheared, np.float32),
        columns + right,
        rows + down,
        interpolation=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(bent, np.float32)


def smooth_noise(rng: np.random.Generator, height: int, width: int, sigma: float) -> Floats:
    """Uniform noise between -1 and 1, blurred up to 3 sigma away and mirrored at the edges."""
    noise = rng.uniform(-1, 1, (height, width))
    smoothed = ndimage.gaussian_filter(noise, sigma, mode="reflect", truncate=3)
    return np.asarray(smoothed, np.float32)
