"""The penalties that stylegan2-pytorch's own trainer adds."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import nn

from hzsynth.gan import losses
from hzsynth.gan.interfaces import DiscriminatorNetwork, Observation, ObservedImages
from hzsynth.gan.objectives import DiscriminatorPenalty, PathLengthPenalty

_GRADIENT_PENALTY = 10.0
_PATH_LENGTH_DECAY = 0.01


def gradient_penalty(
    discriminator: nn.Module, real: torch.Tensor, fake: torch.Tensor
) -> torch.Tensor:
    """The package's penalty on the discriminator, added to its hinge loss every fourth step.

    Args:
        discriminator: gives logits of an observation.
        real: N x 3 x H x W in [-1, 1], as judged.
        fake: likewise.

    Returns:
        A scalar, to be added as it is: 10 times the mean squared gradient norm at the reals, and the
        same at the fakes, both for images in [0, 1].
    """
    total = torch.zeros((), device=real.device)
    for images in (real, fake):
        leaf = images.detach().requires_grad_()
        total = total + losses.r1_penalty(discriminator((leaf,)), leaf)
    # Images in [0, 1] have half the range, so the gradient there is twice as long.
    return total * (4.0 * _GRADIENT_PENALTY)


def path_length_penalty(
    images: torch.Tensor, w: torch.Tensor, direction: torch.Tensor, mean: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The package's path length penalty, added to the generator's loss every 32nd step after 5000.

    Args:
        images: N x 3 x H x W in [-1, 1], computed from `w`.
        w: N x layers x D, requiring a gradient.
        direction: N x 3 x H x W, standard normal.
        mean: running mean length, a scalar; 0 before the first.

    Returns:
        The penalty, to be added as it is (0 at the first call), and the new mean.
    """
    lengths = losses.path_lengths(images, w, direction) / 2.0
    now = lengths.detach().mean()
    if float(mean) == 0.0:
        return (lengths * 0.0).sum(), now
    return (lengths - mean).square().mean(), torch.lerp(mean, now, _PATH_LENGTH_DECAY)


class PackageGradientPenalty(DiscriminatorPenalty):
    """`gradient_penalty`, which joins the loss of every fourth step."""

    interval: ClassVar[int] = 4

    def __call__(
        self, discriminator: DiscriminatorNetwork, real: ObservedImages, fake: Observation
    ) -> torch.Tensor:
        """See `gradient_penalty`."""
        return gradient_penalty(discriminator, real.observation[0], fake[0])


class PackagePathLength(PathLengthPenalty):
    """`path_length_penalty` every 32nd step after 5000, on a whole batch; Adam is not corrected."""

    interval: ClassVar[int] = 32
    start: ClassVar[int] = 5000

    def due(self, step: int) -> bool:
        """Whether it joins a step."""
        return step > self.start and super().due(step)

    def __call__(
        self,
        images: torch.Tensor,
        w: torch.Tensor,
        direction: torch.Tensor,
        mean_over_processes: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """See `path_length_penalty`."""
        penalty, self.mean = path_length_penalty(images, w, direction, self.mean.to(images.device))
        return penalty
