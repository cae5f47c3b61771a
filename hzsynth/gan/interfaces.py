"""What every generator and every discriminator of this room offers, whichever its backend.

The rest of the room asks a network what it can do (does it have a w space, does it judge frozen
features?) and never what class it is of.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import nn

from hzsynth.core.errors import InputError
from hzsynth.gan.latent import Latent

Observation = tuple[torch.Tensor, ...]
"""What a discriminator derives from images before anything trainable: N x C x H x W maps."""


Augment = Callable[[torch.Tensor], torch.Tensor]
"""What was drawn to happen to each of N images, N x 3 x S x S -> the same shape; differentiable."""


@dataclass(frozen=True)
class BeforeAugmentation:
    """Images as they are, and what was done to them before they were observed.

    Attributes:
        images: N x 3 x S x S in [-1, 1].
        augment: what was done.
    """

    images: torch.Tensor
    augment: Augment


@dataclass(frozen=True)
class ObservedImages:
    """What a discriminator is shown of some images.

    Attributes:
        observation: from `DiscriminatorNetwork.observe`.
        classes: int64 N, the class of each; None where no class is told.
        before: of reals that were observed for this step alone.
    """

    observation: Observation
    classes: torch.Tensor | None = None
    before: BeforeAugmentation | None = None


class Generator(Protocol):
    """What makes images: the same seed gives the same image in every batch."""

    def sample(self, seeds: Sequence[int], classes: Sequence[int] | None = None) -> torch.Tensor:
        """One image a seed, uint8 N x 3 x H x W."""


class GeneratorNetwork(nn.Module, ABC):
    """Makes images of codes and noise.

    A code is a vector an image: w of a generator with a w space, else z itself. `synthesise` takes
    codes layer by layer where there is a w space, so that layers can be mixed.

    Attributes:
        resolution: side of the images in pixels.
        classes: number of classes that it is told; 0 for none.
        latent_width: length of z.
        noise_sizes: side in pixels of every noise image that it takes.
        layers: number of w vectors an image takes; 0 without a w space.
    """

    resolution: int
    classes: int
    latent_width: int
    noise_sizes: tuple[int, ...]
    layers: int = 0

    @property
    def has_styles(self) -> bool:
        """Whether it has a w space: truncation, style mixing and path lengths need one."""
        return self.layers > 0

    @property
    def space(self) -> Literal["w", "z"]:
        """Where its codes live."""
        return "w" if self.has_styles else "z"

    @abstractmethod
    def code(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        """N x latent_width and, if conditional, int64 N -> one code an image, N x D."""

    def repeated(self, code: torch.Tensor) -> torch.Tensor:
        """N x D -> what `synthesise` takes: N x layers x D, all alike; N x D without a w space."""
        return code[:, None].expand(-1, self.layers, -1) if self.has_styles else code

    def codes(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        """N x latent_width and, if conditional, int64 N -> what `synthesise` takes."""
        return self.repeated(self.code(z, classes))

    @abstractmethod
    def synthesise(
        self,
        codes: torch.Tensor,
        noise: tuple[torch.Tensor, ...],
        classes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Codes, noise and, if conditional, classes -> N x 3 x H x W in [-1, 1]."""

    def forward(self, latent: Latent) -> torch.Tensor:
        """N latents -> N x 3 x resolution x resolution in [-1, 1]."""
        codes = self.codes(latent.z, latent.classes)
        return self.synthesise(codes, latent.noise, latent.classes)

    def set_colour(self, mean: torch.Tensor) -> None:
        """Lets the first images have a colour, three values in [-1, 1], where the network can."""


class DiscriminatorNetwork(nn.Module, ABC):
    """Judges what it observes of images.

    Attributes:
        has_frozen_features: whether it judges the features of a frozen network, which are costly to
            observe and are standardised with the reals' statistics.
        compared_images: how many images of a batch it compares with each other; 1: none.
    """

    has_frozen_features: bool = False
    compared_images: int = 1

    def observe(self, images: torch.Tensor) -> Observation:
        """What is judged of augmented images, N x 3 x H x W: by default their pixels."""
        return (images,)

    @abstractmethod
    def forward(
        self, observation: Observation, classes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits of real, high for photographs, N x K; int64 N classes if it is told them."""

    def fit_statistics(self, images: torch.Tensor) -> None:
        """Takes the spread of frozen features from augmented reals; without such it does nothing."""

    def freeze_first_blocks(self, count: int) -> None:
        """Lets the `count` blocks nearest to the image learn nothing.

        Raises:
            InputError: it has no such blocks, or not so many.
        """
        if count:
            raise InputError(
                f"`freeze_d` is 0 here, not {count}: this discriminator has no blocks to freeze"
            )

    @property
    def trained(self) -> list[nn.Parameter]:
        """The weights that learn."""
        return [p for p in self.parameters() if p.requires_grad]

    def state_to_keep(self) -> dict[str, torch.Tensor]:
        """The state that a checkpoint needs: all that does not come from a package."""
        return self.state_dict()
