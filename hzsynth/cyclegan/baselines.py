"""The cheap alternatives that a translation model has to beat.

All have one interface: pixels and the target's statistics in, pixels out. No-op; Reinhard's
transfer of Lab mean and deviation (Reinhard et al. 2001); shades of grey (Finlayson and
Trezzi 2004), which balances the light of the photograph; and Lab histogram matching.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab

_LEVELS = 256
_MINKOWSKI = 6.0


@dataclass(frozen=True)
class TargetStatistics:
    """What the baselines know of the target domain.

    Attributes:
        mean: mean L*, a*, b* of its pixels.
        deviation: their standard deviations, averaged over images.
        quantiles: 256 x 3, pooled quantiles of L*, a*, b* at equal steps of probability.
        light: colour of the light, a unit RGB vector.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    light: NDArray[np.float64]


def estimate_light(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The colour of the light: the Minkowski mean (p = 6) of each channel, as a unit vector."""
    powers = (pixels.reshape(-1, 3) / 255.0) ** _MINKOWSKI
    light = np.maximum(powers.mean(axis=0) ** (1 / _MINKOWSKI), 1e-6)
    return np.asarray(light / np.linalg.norm(light))


def measure_target(pixels: torch.Tensor) -> TargetStatistics:
    """Measures a target domain.

    Args:
        pixels: uint8 N x 3 x H x W, photographs of the target domain.

    Returns:
        The statistics that the baselines need.
    """
    images = pixels.permute(0, 2, 3, 1).numpy()
    lab = np.stack([rgb2lab(image).reshape(-1, 3) for image in images])
    steps = (np.arange(_LEVELS) + 0.5) / _LEVELS
    return TargetStatistics(
        mean=lab.mean(axis=(0, 1)),
        deviation=lab.std(axis=1).mean(axis=0),
        quantiles=np.quantile(lab.reshape(-1, 3), steps, axis=0),
        light=np.mean([estimate_light(image) for image in images], axis=0),
    )


def _to_uint8(rgb: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8))


def no_change(pixels: NDArray[np.uint8], target: TargetStatistics) -> NDArray[np.uint8]:
    """The image as it is."""
    return pixels


def reinhard(pixels: NDArray[np.uint8], target: TargetStatistics) -> NDArray[np.uint8]:
    """Gives the image the target's mean and deviation in each Lab channel."""
    lab = rgb2lab(pixels)
    mean, deviation = lab.mean(axis=(0, 1)), np.maximum(lab.std(axis=(0, 1)), 1e-6)
    return _to_uint8(lab2rgb((lab - mean) / deviation * target.deviation + target.mean))


def shades_of_gray(pixels: NDArray[np.uint8], target: TargetStatistics) -> NDArray[np.uint8]:
    """Replaces the colour of the photograph's light by that of the target's."""
    gain = target.light / np.linalg.norm(target.light) / estimate_light(pixels)
    return _to_uint8(pixels / 255.0 * gain)


def histogram_matching(pixels: NDArray[np.uint8], target: TargetStatistics) -> NDArray[np.uint8]:
    """Maps the quantiles of each Lab channel onto the target's."""
    lab = rgb2lab(pixels)
    steps = (np.arange(_LEVELS) + 0.5) / _LEVELS
    matched = np.empty_like(lab)
    for channel in range(3):
        values = lab[..., channel].ravel()
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        # Rank in the middle of the ties, as a probability.
        rank = (np.cumsum(counts) - 0.5 * counts) / values.size
        new = np.interp(rank, steps, target.quantiles[:, channel])
        matched[..., channel] = new[inverse].reshape(lab.shape[:2])
    return _to_uint8(lab2rgb(matched))


Baseline = Callable[[NDArray[np.uint8], TargetStatistics], NDArray[np.uint8]]

BASELINES: tuple[tuple[str, Baseline], ...] = (
    ("no-op", no_change),
    ("reinhard", reinhard),
    ("shades-of-gray", shades_of_gray),
    ("histogram-matching", histogram_matching),
)
"""Every baseline by its name."""
