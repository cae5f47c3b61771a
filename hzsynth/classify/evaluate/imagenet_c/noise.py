"""Noise: gaussian, shot, impulse and, for tuning, speckle."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_GAUSSIAN = (0.08, 0.12, 0.18, 0.26, 0.38)
_PHOTONS = (60, 25, 12, 5, 3)
_REPLACED = (0.03, 0.06, 0.09, 0.17, 0.27)
_SPECKLE = (0.15, 0.2, 0.35, 0.45, 0.6)


def gaussian_noise(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Adds noise of a standard deviation of .08 to .38."""
    return image + rng.standard_normal(image.shape, np.float32) * np.float32(
        _GAUSSIAN[severity - 1]
    )


def shot_noise(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Counts photons, 60 to 3 of them for white."""
    photons = _PHOTONS[severity - 1]
    noisy: Floats = (rng.poisson(image * photons) / photons).astype(np.float32)
    return noisy


def impulse_noise(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Sets 3 to 27 % of all values to 0 or 1."""
    draw = rng.random(image.shape, np.float32)
    share = _REPLACED[severity - 1]
    noisy: Floats = np.where(draw < share / 2, 0, np.where(draw < share, 1, image))
    return noisy.astype(np.float32)


def speckle_noise(image: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Multiplies by noise of a standard deviation of .15 to .6 around 1."""
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(_SPECKLE[severity - 1])
    return image * (1 + noise)
