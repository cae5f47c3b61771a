"""StyleGAN2's lazy regularisers: penalties every so many steps, as much stronger (arXiv:1912.04958, 3.1)."""

from collections.abc import Callable
from typing import ClassVar

import torch

from hzsynth.gan import losses
from hzsynth.gan.interfaces import DiscriminatorNetwork, Observation, ObservedImages
from hzsynth.gan.objectives import DiscriminatorPenalty, PathLengthPenalty


class LazyR1(DiscriminatorPenalty):
    """R1 at the reals before their augmentation (arXiv:2006.06676), every 16th step.

    Args:
        gamma: its weight; the loss of a step is gamma / 2 times the squared gradient norm.
    """

    interval: ClassVar[int] = 16

    def __init__(self, gamma: float) -> None:
        self._gamma = gamma

    def __call__(
        self, discriminator: DiscriminatorNetwork, real: ObservedImages, fake: Observation
    ) -> torch.Tensor:
        """The penalty, times the interval (see `DiscriminatorPenalty`)."""
        assert real.before is not None  # a discriminator that learns to see has no bank of views
        images = real.before.images.detach().requires_grad_()
        observation = discriminator.observe(real.before.augment(images))
        penalty = losses.r1_penalty(discriminator(observation, real.classes), images)
        return penalty * (self._gamma / 2 * self.interval)


class LazyPathLength(PathLengthPenalty):
    """Path length regularisation, every fourth step on half a batch.

    Args:
        weight: of the penalty (the paper: 2).
    """

    interval: ClassVar[int] = 4
    batch_divisor: ClassVar[int] = 2
    adam_interval: ClassVar[int | None] = interval

    def __init__(self, weight: float) -> None:
        super().__init__()
        self._weight = weight

    def __call__(
        self,
        images: torch.Tensor,
        w: torch.Tensor,
        direction: torch.Tensor,
        mean_over_processes: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """The penalty, times the interval (see `PathLengthPenalty`)."""
        lengths = losses.path_lengths(images, w, direction)
        penalty, self.mean = losses.path_length_penalty(
            lengths, self.mean.to(lengths), now=mean_over_processes(lengths.mean())
        )
        return penalty * (self._weight * self.interval)
