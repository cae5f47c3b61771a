"""Where the generators' change of colour starts: at the optimal transport of the domains' skin colours.

The adversarial game alone needs thousands of steps to move a tone, and the direction is known before it
begins. The skin colours of the two domains are taken for two normal distributions; the cheapest map of
one onto the other is linear (Pitie & Kokaram 2007, "The linear Monge-Kantorovitch linear colour
mapping"). It narrows or widens the differences between photographs as well as moving their mean.
A generator does not see where the skin is, so the shift of every photograph is then predicted from
what `ColourChange` does see, its mean colours and contrasts, by a ridge regression.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.cyclegan.domains import Domain
from hzsynth.cyclegan.measures import skin_ring
from hzsynth.cyclegan.networks import colour_features, to_logits
from hzsynth.cyclegan.target import Floats, Picture

_FEWEST = 10
"""From this number of photographs a domain's spread of colours is more than an accident."""

_RIDGE = 0.1
"""Penalty of the regression, in photographs: features are standardised."""

_LEAST_VARIANCE = 1e-4


@dataclass(frozen=True)
class ColourStart:
    """A shift that is linear in an image's features.

    Attributes:
        weight: 3 x 6, logits of a channel per unit of a feature (see `colour_features`).
        bias: 3, logits.
    """

    weight: torch.Tensor
    bias: torch.Tensor


def skin_colours(domain: Domain) -> Floats:
    """The typical skin colour of every photograph.

    Args:
        domain: N photographs with masks.

    Returns:
        N x 3, logits: medians over the skin outside the lesion, so that backgrounds, hair and logos do
        not matter.
    """
    medians = []
    for pixels, mask in zip(domain.pixels, domain.masks, strict=True):
        picture = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
        skin = torch.from_numpy(skin_ring(Picture(picture, mask[0].numpy())))
        medians.append(pixels[:, skin].float().median(dim=1).values)
    logits = to_logits(torch.stack(medians) / 127.5 - 1)
    return np.asarray(logits.numpy(), dtype=np.float64)


def transported(colours: Floats, wanted: Floats) -> Floats:
    """Colours after the optimal transport of their normal distribution onto another.

    Args:
        colours: N x 3.
        wanted: M x 3, a sample of the other distribution.

    Returns:
        N x 3: of the mean of `wanted` and, from ten rows of both on, of its covariance.
    """
    centred = colours - colours.mean(axis=0)
    if min(len(colours), len(wanted)) < _FEWEST:
        return np.asarray(centred + wanted.mean(axis=0))
    own, other = (
        np.cov(values, rowvar=False) + _LEAST_VARIANCE * np.eye(3) for values in (colours, wanted)
    )
    root = _root(own)
    inverse = np.linalg.inv(root)
    matrix = inverse @ _root(root @ other @ root) @ inverse
    return np.asarray(centred @ matrix.T + wanted.mean(axis=0))


def _root(matrix: Floats) -> Floats:
    """The symmetric root of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def colour_start(domain: Domain, other: Domain) -> ColourStart:
    """The shift with which a generator from one domain to the other begins.

    Args:
        domain: photographs that it will translate.
        other: photographs of the skin to map onto.

    Returns:
        The shift as a function of an image's features.
    """
    colours = skin_colours(domain)
    shifts = transported(colours, skin_colours(other)) - colours
    features = colour_features(domain.pixels.float() / 127.5 - 1).double().numpy()
    weight = _regressed(features, shifts)
    bias = shifts.mean(axis=0) - features.mean(axis=0) @ weight
    return ColourStart(torch.from_numpy(weight.T).float(), torch.from_numpy(bias).float())


def _regressed(features: Floats, shifts: NDArray[np.float64]) -> Floats:
    """Ridge regression of centred values on standardised features: 6 x 3."""
    deviation = np.maximum(features.std(axis=0), 1e-3)
    standardised = (features - features.mean(axis=0)) / deviation
    penalty = _RIDGE * len(features) * np.eye(features.shape[1])
    weight = np.linalg.solve(
        standardised.T @ standardised + penalty, standardised.T @ (shifts - shifts.mean(axis=0))
    )
    return np.asarray(weight / deviation[:, None])
