"""What is done to every image before the discriminator sees it, reals and fakes alike."""

from dataclasses import dataclass
from typing import Any

import torch

from hzsynth.gan import adaptive_augmentation, diffaugment
from hzsynth.gan.adaptive_augmentation import Operators
from hzsynth.gan.adaptive_strength import AdaptiveStrength
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import Augment


@dataclass(frozen=True)
class BatchShare:
    """A process's part of a global batch.

    Attributes:
        batch: size of the global batch.
        rows: which of its images, int64.
    """

    batch: int
    rows: torch.Tensor


class DiscriminatorAugmentation:
    """Nothing, DiffAugment, or ADA with its strength.

    Args:
        config: the run's settings.

    Attributes:
        strength: ADA's, else None.
    """

    def __init__(self, config: GanConfig) -> None:
        self._kind = config.augment
        self._operators = Operators(flip=config.flip)
        self.strength: AdaptiveStrength | None = None
        if config.augment == "ada":
            # By the clock nobody knows how many images there will be.
            whole = None if config.minutes is not None else config.kimg
            self.strength = AdaptiveStrength(config.batch, config.ada_kimg or whole)

    def __call__(
        self,
        images: torch.Tensor,
        generator: torch.Generator,
        share: BatchShare | None = None,
    ) -> torch.Tensor:
        """Augments every image on its own; differentiable with respect to the images.

        Args:
            images: N x 3 x S x S in [-1, 1].
            generator: a CPU generator of what is drawn.
            share: which images of a global batch these are: what is drawn is the same whoever
                computes it. By default they are all.

        Returns:
            The same shape, channels last; values may leave [-1, 1].
        """
        return self.drawn(len(images), generator, share)(images)

    def drawn(
        self, count: int, generator: torch.Generator, share: BatchShare | None = None
    ) -> Augment:
        """Draws what happens to `count` images, to be done to them once or several times.

        Args:
            count: of images; with a share it is the share's batch that counts.
            generator: a CPU generator of what is drawn.
            share: see `__call__`.
        """
        count = count if share is None else share.batch
        if self.strength is not None:
            every = adaptive_augmentation.draw(count, self.strength.p, generator, self._operators)
            adaptive = every if share is None else every.select(share.rows)
            return lambda images: adaptive_augmentation.apply(images, adaptive)
        if self._kind == "diffaugment":
            all_changes = diffaugment.draw(count, generator)
            changes = all_changes if share is None else all_changes.select(share.rows)
            return lambda images: diffaugment.apply(images, changes.to(images.device))
        return lambda images: images.contiguous(memory_format=torch.channels_last)

    def elapsed(self, share: float) -> None:
        """Tells ADA which share of the training has passed, 0 to 1, before a step."""
        if self.strength is not None:
            self.strength.elapsed(share)

    def observe(self, real_logits: torch.Tensor) -> None:
        """Lets ADA see how sure the discriminator is of the reals, N x K logits."""
        if self.strength is not None:
            self.strength.observe(real_logits)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {} if self.strength is None else self.strength.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a checkpoint's state."""
        if self.strength is not None:
            self.strength.load_state_dict(state)
