"""Blur: defocus, glass, motion, zoom and, for tuning, gaussian."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]

_DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
_GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
_MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
_ZOOM = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
_GAUSSIAN = (1, 2, 3, 4, 6)
_STEEPEST_MOTION = 45


def smooth(image: NDArray[np.floating], sigma: float) -> Floats:
    """A Gaussian blur that reaches 4 sigma far and repeats the edge's pixels."""
    sigmas = (sigma, sigma, 0)[: image.ndim]
    blurred: Floats = ndimage.gaussian_filter(image, sigmas, mode="nearest").astype(np.float32)
    return blurred


def gaussian_blur(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Blurs with a sigma of 1 to 6 pixels."""
    return smooth(image, _GAUSSIAN[severity - 1])


def defocus_blur(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Blurs with a disc of a radius of 3 to 10 pixels."""
    radius, softness = _DEFOCUS[severity - 1]
    reach = np.arange(-max(8, radius), max(8, radius) + 1)
    disc = (reach[:, None] ** 2 + reach[None] ** 2 <= radius**2).astype(np.float32)
    side = 3 if radius <= 8 else 5
    kernel = cv2.GaussianBlur(disc / disc.sum(), (side, side), sigmaX=softness)
    return np.asarray(cv2.filter2D(image, -1, kernel), np.float32)


def glass_blur(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Swaps pixels with neighbours 1 to 4 pixels away, one after the other, and blurs."""
    sigma, reach, rounds = _GLASS[severity - 1]
    blurred = smooth(image, sigma)
    height, width = image.shape[:2]
    order = list(range(height * width))
    for _ in range(rounds):
        steps = rng.integers(-reach, reach, (height, width, 2))
        jumps = (steps[..., 0] * width + steps[..., 1]).tolist()
        for row in range(height - reach, reach, -1):
            start, jump = row * width, jumps[row % height]
            for column in range(width - reach, reach, -1):
                # The outermost row and column are never left; a swap with one beyond it is not made.
                here = start + column
                there = here + jump[column % width]
                if here < len(order) and there < len(order):
                    order[here], order[there] = order[there], order[here]
    shuffled = blurred.reshape(-1, image.shape[2])[order].reshape(image.shape)
    return smooth(shuffled, sigma)


def line_blur(image: NDArray[np.floating], length: int, sigma: float, angle: float) -> Floats:
    """Smears along a line: weights of half a Gaussian, strongest where the pixel is.

    Args:
        image: H x W or H x W x 3.
        length: of the line, pixels: 2 length + 1 places.
        sigma: of the Gaussian, pixels.
        angle: of the line, degrees.
    """
    places = np.arange(2 * length + 1)
    weights = np.exp(-(places**2) / (2 * sigma**2))
    x = np.rint(places * np.cos(np.deg2rad(angle))).astype(int)
    y = np.rint(places * np.sin(np.deg2rad(angle))).astype(int)
    reach = 2 * length
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    np.add.at(kernel, (reach + y, reach + x), weights / weights.sum())
    blurred = cv2.filter2D(
        image.astype(np.float32, copy=False), -1, kernel, borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(blurred, np.float32)


def motion_blur(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Smears along a line of 21 to 41 pixels, at most 45 degrees from the horizontal."""
    length, sigma = _MOTION[severity - 1]
    return line_blur(image, length, sigma, rng.uniform(-_STEEPEST_MOTION, _STEEPEST_MOTION))


def zoomed(image: NDArray[np.floating], factor: float) -> Floats:
    """The centre, enlarged to the image's size."""
    height, width = image.shape[:2]
    rows, columns = int(np.ceil(height / factor)), int(np.ceil(width / factor))
    top, left = (height - rows) // 2, (width - columns) // 2
    centre = image[top : top + rows, left : left + columns]
    sides = round(rows * factor), round(columns * factor)
    # Corners on corners, as scipy's zoom has it, and not the edges of pixels.
    y = np.linspace(0, rows - 1, sides[0], dtype=np.float32)
    x = np.linspace(0, columns - 1, sides[1], dtype=np.float32)
    grid = np.meshgrid(x, y)
    enlarged = cv2.remap(centre.astype(np.float32), *grid, interpolation=cv2.INTER_LINEAR)
    top, left = (sides[0] - height) // 2, (sides[1] - width) // 2
    return np.asarray(enlarged[top : top + height, left : left + width], np.float32)


def zoom_blur(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """The mean of the image and its enlargements by up to 10 to 30 %."""
    end, step = _ZOOM[severity - 1]
    factors = np.arange(1, end, step)  # whether the end is among them is as published
    total = image + sum(zoomed(image, factor) for factor in factors)
    mean: Floats = total / np.float32(len(factors) + 1)
    return mean
