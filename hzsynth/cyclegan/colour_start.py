"""The map between two domains' skin colours: a translation in closed form, where a trained one starts.

The adversarial game alone needs thousands of steps to move a tone, and then moves that of the whole
picture, background and all. The skin colours of the two domains are taken for two normal
distributions; the cheapest map of one onto the other is linear (Pitie & Kokaram 2007, "The linear
Monge-Kantorovitch linear colour mapping"). It narrows or widens the differences between photographs as
well as moving their mean, and says of every training photograph how far its skin has to move. `tone_loss`
holds a translation to that, around the lesion. A generator does not see where the skin is, so it starts
with what predicts this shift best from what `ColourChange` does see, an image's mean colours and
contrasts, by a ridge regression.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hzsynth.cyclegan.colour import apply_change, colour_features, to_logits
from hzsynth.cyclegan.domains import Domain
from hzsynth.cyclegan.measures import skin_ring
from hzsynth.cyclegan.preservation import ring_of
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


def with_shifts(source: Domain, target: Domain) -> tuple[Domain, Domain]:
    """Both domains with how far the skin of every photograph has to move to be of the other.

    Light falls off towards the edges of a picture, so healthy skin is looked at where lesions are.
    """
    borrowed = torch.arange(len(target.pixels)) % len(source.pixels)
    own, other = skin_colours(source), skin_colours(replace(target, masks=source.masks[borrowed]))
    return _shifted(source, own, other), _shifted(target, other, own)


def _shifted(domain: Domain, own: Floats, other: Floats) -> Domain:
    return replace(domain, shifts=torch.from_numpy(transported(own, other) - own).float())


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


def colour_start(domain: Domain) -> ColourStart:
    """The shift with which a generator begins.

    Args:
        domain: photographs that it will translate, with their shifts (see `with_shifts`).

    Returns:
        The shift as a function of an image's features.
    """
    assert domain.shifts is not None  # `train_cyclegan` sees to it
    shifts = domain.shifts.double().numpy()
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


class ToneMap(nn.Module):
    """The start taken for a translation of its own: no training, and nothing changes but the tone.

    A shift in logits, one for the whole picture, linear in its mean colours and contrasts.
    """

    multiple = 1

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 6), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(3), requires_grad=False)

    @classmethod
    def between(cls, domain: Domain) -> "ToneMap":
        """The map of a domain with its shifts (see `with_shifts`) onto the other."""
        tone_map, start = cls(), colour_start(domain)
        tone_map.weight.copy_(start.weight)
        tone_map.bias.copy_(start.bias)
        return tone_map

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """N x 3 x H x W in [-1, 1] -> the same, in the other domain's tone."""
        shift = colour_features(images) @ self.weight.T + self.bias
        return apply_change(images, shift[..., None, None].expand_as(images))

    def harmonise(self, images: torch.Tensor) -> torch.Tensor:
        """Images whose skin is of the target domain already: they stay as they are."""
        return images


def tone_loss(
    images: torch.Tensor, translated: torch.Tensor, masks: torch.Tensor, shifts: torch.Tensor
) -> torch.Tensor:
    """How far the skin around the lesion is from where the map between the domains takes it.

    Args:
        images: N x 3 x H x W in [-1, 1].
        translated: the same after translation.
        masks: float N x 1 x H x W in [0, 1], ones inside the lesion.
        shifts: N x 3, how far the skin should move, in logits.

    Returns:
        A scalar: mean absolute difference in logits; images without lesion are taken whole.
    """
    ring = ring_of(masks)
    around = ring.sum(dim=(2, 3), keepdim=True) > 0
    region = torch.where(around, ring, torch.ones_like(ring))
    change = to_logits(translated) - to_logits(images)
    moved = (change * region).sum(dim=(2, 3)) / region.sum(dim=(2, 3))
    return (moved - shifts).abs().mean()
