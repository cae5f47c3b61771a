"""Losses of adversarial training, as pure functions of logits and images.

Non-saturating logistic loss (Goodfellow et al. 2014, arXiv:1406.2661), hinge loss (Lim and Ye
2017, arXiv:1705.02894), R1 (Mescheder et al. 2018, arXiv:1801.04406, equation 9), path length
(Karras et al. 2020, arXiv:1912.04958, equation 4).
"""

import math

import torch
from torch.nn import functional


def hinge_discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Mean of max(0, 1 - real) + max(0, 1 + fake) over logits of any shape."""
    return functional.relu(1.0 - real).mean() + functional.relu(1.0 + fake).mean()


def hinge_generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """Minus the mean logit of the fakes."""
    return -fake.mean()


def logistic_discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(real) - log(1 - sigmoid(fake)), averaged."""
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def logistic_generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(fake), averaged: non-saturating."""
    return functional.softplus(-fake).mean()


def r1_penalty(logits: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Squared gradient norm of the discriminator at the reals, averaged over images.

    Args:
        logits: of the images, N x K.
        images: N x 3 x H x W, requiring a gradient.

    Returns:
        A scalar; the loss is gamma / 2 times it.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean()


def path_lengths(images: torch.Tensor, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """Length of the image change per step in w, along a random image direction.

    Args:
        images: N x 3 x H x W, computed from `w`.
        w: N x L x D, one vector a layer, requiring a gradient.
        direction: N x 3 x H x W, standard normal.

    Returns:
        N lengths: the norm of J^T y / sqrt(HW), mean square over the layers.
    """
    scaled = direction / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * scaled).sum(), w, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def path_length_penalty(
    lengths: torch.Tensor,
    mean: torch.Tensor,
    decay: float = 0.01,
    now: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Penalty on the deviation from the running mean length.

    Args:
        lengths: N, from `path_lengths`.
        mean: running mean so far, a scalar.
        decay: weight of the new lengths in the mean.
        now: mean of the new lengths, of all processes; by default that of `lengths`.

    Returns:
        The penalty, and the new mean (detached).
    """
    updated = torch.lerp(mean, lengths.detach().mean() if now is None else now, decay)
    return (lengths - updated).square().mean(), updated
