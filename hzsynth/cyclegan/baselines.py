"""The cheap alternatives that a translation model has to beat.

All have one interface: a picture, the target domain and a source of random draws in, a picture out.
No-op; shades of grey (Finlayson and Trezzi 2004), which replaces the light of the photograph;
Reinhard's transfer of Lab mean and deviation (Reinhard et al. 2001), of the whole picture or of the
skin; Lab histogram matching; Fourier domain adaptation (Yang and Soatto 2020), which exchanges
the amplitudes of the lowest frequencies for those of one of the target's photographs; the closed-form
map between both domains' skin colours, where a trained translation starts (see `colour_start`); and the
transplant of the lesion onto one of them (see `transplant`).
"""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab

from hzsynth.cyclegan.colour import to_uint8
from hzsynth.cyclegan.colour_start import ToneMap
from hzsynth.cyclegan.target import (
    LEVELS,
    Floats,
    Mask,
    Picture,
    Pixels,
    TargetStatistics,
    estimate_light,
    healthy_skin,
    lab_to_rgb,
)
from hzsynth.data.skin import skin_mask

_FEATHER = 0.01


def _to_uint8(rgb: Floats) -> Pixels:
    return np.asarray(np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8))


def no_change(picture: Picture, target: TargetStatistics, rng: np.random.Generator) -> Picture:
    """The picture as it is."""
    return picture


def shades_of_gray(picture: Picture, target: TargetStatistics, rng: np.random.Generator) -> Picture:
    """Replaces the colour of the photograph's light by that of the target's."""
    gain = target.light / np.linalg.norm(target.light) / estimate_light(picture.pixels)
    return Picture(_to_uint8(picture.pixels / 255.0 * gain), picture.lesion)


def _affine(lab: Floats, region: Mask, mean: Floats, deviation: Floats) -> Floats:
    """Moves all colours so that those of a region have the given mean and deviation."""
    own_mean, own_deviation = lab[region].mean(axis=0), lab[region].std(axis=0)
    return np.asarray((lab - own_mean) / np.maximum(own_deviation, 1e-6) * deviation + mean)


def reinhard(picture: Picture, target: TargetStatistics, rng: np.random.Generator) -> Picture:
    """Gives the picture the target's mean and deviation in each Lab channel."""
    everywhere = np.ones(picture.lesion.shape, dtype=bool)
    moved = _affine(rgb2lab(picture.pixels), everywhere, target.mean, target.deviation)
    return Picture(_to_uint8(lab_to_rgb(moved)), picture.lesion)


def reinhard_skin(picture: Picture, target: TargetStatistics, rng: np.random.Generator) -> Picture:
    """Gives healthy skin the mean and deviation of the target's; the lesion moves along.

    What is no skin stays as it is; the border between both is softened over a hundredth of the
    longer side.
    """
    healthy = healthy_skin(picture.pixels, picture.lesion)
    moved = _affine(rgb2lab(picture.pixels), healthy, target.skin_mean, target.skin_deviation)
    share: Floats = (skin_mask(picture.pixels) | picture.lesion | healthy).astype(np.float64)
    if share.min() == 0:
        # Growing first: the transition lies outside the skin, whose colours are then exact.
        reach = max(1, round(_FEATHER * max(share.shape)))
        size = 2 * reach + 1
        share = np.asarray(cv2.blur(cv2.dilate(share, np.ones((size, size))), (size, size)))
    mixed = share[..., None] * lab_to_rgb(moved) + (1 - share[..., None]) * picture.pixels / 255.0
    return Picture(_to_uint8(mixed), picture.lesion)


def histogram_matching(
    picture: Picture, target: TargetStatistics, rng: np.random.Generator
) -> Picture:
    """Maps the quantiles of each Lab channel onto the target's."""
    lab = rgb2lab(picture.pixels)
    steps = (np.arange(LEVELS) + 0.5) / LEVELS
    matched = np.empty_like(lab)
    for channel in range(3):
        values = lab[..., channel].ravel()
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        # Rank in the middle of the ties, as a probability.
        rank = (np.cumsum(counts) - 0.5 * counts) / values.size
        new = np.interp(rank, steps, target.quantiles[:, channel])
        matched[..., channel] = new[inverse].reshape(lab.shape[:2])
    return Picture(_to_uint8(lab_to_rgb(matched)), picture.lesion)


def exchange_amplitudes(pixels: Pixels, reference: Pixels, beta: float) -> NDArray[np.float64]:
    """Fourier domain adaptation of one image (Yang and Soatto 2020, equation 1).

    Args:
        pixels: H x W x 3.
        reference: H x W x 3, whose lowest frequencies' amplitudes are taken.
        beta: half of the side of the exchanged square, as a share of the shorter side of the
            spectrum; 0 exchanges the mean alone.

    Returns:
        H x W x 3 in [0, 255] up to overshoot; the phases are those of `pixels`.
    """
    own = np.fft.fft2(pixels.astype(np.float64), axes=(0, 1))
    other = np.fft.fft2(reference.astype(np.float64), axes=(0, 1))
    reach = int(beta * min(pixels.shape[:2]))
    low = np.zeros(pixels.shape[:2], dtype=bool)
    # The spectrum is not shifted: low frequencies are at both ends of each axis.
    near = np.arange(-reach, reach + 1)
    low[np.ix_(near % pixels.shape[0], near % pixels.shape[1])] = True
    amplitude = np.where(low[..., None], np.abs(other), np.abs(own))
    changed = amplitude * np.exp(1j * np.angle(own))
    return np.asarray(np.fft.ifft2(changed, axes=(0, 1)).real)


def fourier(
    picture: Picture, target: TargetStatistics, rng: np.random.Generator, *, beta: float
) -> Picture:
    """Fourier domain adaptation to one of the target's photographs, drawn at random."""
    chosen = target.photographs[int(rng.integers(len(target.photographs)))]
    height, width = picture.lesion.shape
    if chosen.shape != picture.pixels.shape:
        chosen = np.asarray(Image.fromarray(chosen).resize((width, height), Image.Resampling.BOX))
    changed = exchange_amplitudes(picture.pixels, chosen, beta)
    return Picture(_to_uint8(changed / 255.0), picture.lesion)


Baseline = Callable[[Picture, TargetStatistics, np.random.Generator], Picture]
"""Gives a picture the look of the target domain; random draws come from the generator alone."""

NO_CHANGE, TONE = "no-op", "tone"
TONE_TRANSFERS: tuple[tuple[str, Baseline], ...] = (
    (NO_CHANGE, no_change),
    ("shades-of-gray", shades_of_gray),
    ("reinhard", reinhard),
    ("reinhard-skin", reinhard_skin),
    ("histogram-matching", histogram_matching),
    ("fda-0.01", partial(fourier, beta=0.01)),
    ("fda-0.05", partial(fourier, beta=0.05)),
    ("fda-0.09", partial(fourier, beta=0.09)),
)
"""Every change of tone by its name that needs to know the target only; the lesion stays where it is.

``tone`` is one more, which has to know both domains (see `tone_transfer`).
"""


def tone_transfer(tone_map: ToneMap) -> Baseline:
    """The closed-form map between both domains' skin colours as an alternative."""

    def transfer(picture: Picture, target: TargetStatistics, rng: np.random.Generator) -> Picture:
        images = torch.from_numpy(picture.pixels.transpose(2, 0, 1).copy())[None]
        mapped = to_uint8(tone_map(images.float() / 127.5 - 1))
        return Picture(mapped[0].permute(1, 2, 0).numpy(), picture.lesion)

    return transfer
