"""What two networks are trained by: a loss, and penalties that join some of the steps.

A backend composes its objective of these parts; `adversarial_step.AdversarialStep` runs any.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from hzsynth.gan import losses
from hzsynth.gan.interfaces import DiscriminatorNetwork, Observation, ObservedImages


@dataclass(frozen=True)
class AdversarialLoss:
    """The two sides of a loss.

    Attributes:
        discriminator: logits of reals and of fakes -> a scalar that the discriminator lowers.
        generator: logits of fakes -> a scalar that the generator lowers.
    """

    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    generator: Callable[[torch.Tensor], torch.Tensor]


HINGE = AdversarialLoss(losses.hinge_discriminator_loss, losses.hinge_generator_loss)
LOGISTIC = AdversarialLoss(losses.logistic_discriminator_loss, losses.logistic_generator_loss)


class DiscriminatorPenalty(ABC):
    """A penalty on the discriminator.

    Attributes:
        interval: it joins every `interval`-th step.
    """

    interval: ClassVar[int]

    def due(self, step: int) -> bool:
        """Whether it joins a step."""
        return step % self.interval == 0

    @abstractmethod
    def __call__(
        self, discriminator: DiscriminatorNetwork, real: ObservedImages, fake: Observation
    ) -> torch.Tensor:
        """A scalar to be added, or descended, as it is.

        Args:
            discriminator: judges.
            real: what it was shown of the reals.
            fake: what it was shown of the fakes, detached.
        """


class PathLengthPenalty(ABC):
    """A penalty on uneven steps of the generator's images, with updates of its own.

    Attributes:
        interval: it joins every `interval`-th step.
        batch_divisor: it looks at so small a part of a batch.
        adam_interval: Adam is corrected for updates at this interval; None: it is not.
        mean: running mean of the lengths, a scalar; 0 before the first.
    """

    interval: ClassVar[int]
    batch_divisor: ClassVar[int] = 1
    adam_interval: ClassVar[int | None] = None

    def __init__(self) -> None:
        self.mean = torch.zeros(())

    def due(self, step: int) -> bool:
        """Whether it joins a step."""
        return step % self.interval == 0

    @abstractmethod
    def __call__(
        self,
        images: torch.Tensor,
        w: torch.Tensor,
        direction: torch.Tensor,
        mean_over_processes: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """A scalar to be descended as it is; moves the running mean.

        Args:
            images: N x 3 x H x W in [-1, 1], computed from `w`.
            w: N x layers x D, requiring a gradient.
            direction: N x 3 x H x W, standard normal.
            mean_over_processes: of a scalar, without gradient.
        """

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"mean": self.mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a `state_dict`."""
        self.mean = state["mean"]


@dataclass(frozen=True)
class Objective:
    """What both networks are trained by.

    Attributes:
        loss: of every step.
        adam_betas: decay of Adam's two moments.
        joined_penalty: added to the discriminator's loss in its steps.
        separate_penalty: descended by updates of its own after both networks', for which Adam is
            corrected.
        path_length: of a generator with a w space.
    """

    loss: AdversarialLoss
    adam_betas: tuple[float, float]
    joined_penalty: DiscriminatorPenalty | None = None
    separate_penalty: DiscriminatorPenalty | None = None
    path_length: PathLengthPenalty | None = None
