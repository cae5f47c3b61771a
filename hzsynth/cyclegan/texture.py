"""What skin looks like apart from its tone: grain, pores, hair, vessels, the camera's sharpness and noise.

A backbone's features of a patch are those of its colour before all; these describe none. The bands of a
pyramid of L*, a* and b* (Burt and Adelson 1983) say how much there is to be seen at each size, their
sparseness tells hair and pores from noise, and the coherence of the structure tensor (Bigun and Granlund
1987) lines from grain.
"""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab
from skimage.feature import structure_tensor

_WIDTHS = 0.0, 0.7, 1.4, 2.8, 5.6
_TENSOR_WIDTHS = 1.0, 2.5
_LEAST = 1e-2
"""Lab steps below which a band counts as empty: a rounded pixel has more."""


def texture_features(patches: torch.Tensor) -> torch.Tensor:
    """Describes the texture of patches.

    Args:
        patches: uint8 N x 3 x H x W, 16 pixels each way at least.

    Returns:
        float32 N x 18: for L*, a* and b* the logarithm of the deviation in four octave bands, for L* the
        sparseness of each band (logarithm of deviation over mean absolute value), and its coherence,
        from 0 to 1, at two sizes.
    """
    described = [_described(patch) for patch in patches.permute(0, 2, 3, 1).numpy()]
    return torch.from_numpy(np.array(described, dtype=np.float32).reshape(len(patches), -1))


def _described(patch: NDArray[np.uint8]) -> list[float]:
    lab = rgb2lab(patch)
    smoothed = [lab if width == 0 else gaussian_filter(lab, (width, width, 0)) for width in _WIDTHS]
    bands = [fine - coarse for fine, coarse in itertools.pairwise(smoothed)]
    deviations = [np.sqrt(np.square(band).mean(axis=(0, 1))) + _LEAST for band in bands]
    absolute = [np.abs(band[..., 0]).mean() + _LEAST for band in bands]
    found = np.log(np.concatenate(deviations)).tolist()
    found += [float(np.log(d[0] / a)) for d, a in zip(deviations, absolute, strict=True)]
    found += [_coherence(lab[..., 0], width) for width in _TENSOR_WIDTHS]
    return [float(value) for value in found]


def _coherence(lightness: NDArray[np.float64], width: float) -> float:
    """How far the gradients around a place run one way, averaged by their energy."""
    rows, mixed, columns = structure_tensor(lightness, sigma=width, mode="nearest", order="rc")
    energy = (rows + columns).sum()
    apart = np.sqrt((rows - columns) ** 2 + 4 * mixed**2).sum()
    return float(apart / max(energy, _LEAST))
