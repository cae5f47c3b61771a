"""The networks of stylegan2-pytorch 1.9.0 (MIT) behind this room's interfaces.

The package works on images in [0, 1] and judges low what looks real: both end here, and images are
in [-1, 1], logits high for reals.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn

from hzsynth.gan.backends.stylegan2_pytorch.package import import_package
from hzsynth.gan.interfaces import DiscriminatorNetwork, GeneratorNetwork, Observation


@dataclass(frozen=True)
class PackageSettings:
    """The package's own settings of its networks, with its defaults.

    Attributes:
        resolution: side of the images in pixels, a power of two.
        latent_width: length of z and w.
        mapping_layers: depth of the mapping network.
        mapping_rate: its learning-rate multiplier.
        capacity: half of the generator's channels at full size, a quarter of the discriminator's.
        widest: most channels of a layer.
        attention_layers: numbers of the layers with attention.
        constant_start: the generator starts from a learned constant rather than from w.
    """

    resolution: int
    latent_width: int = 512
    mapping_layers: int = 8
    mapping_rate: float = 0.1
    capacity: int = 16
    widest: int = 512
    attention_layers: tuple[int, ...] = ()
    constant_start: bool = True

    @classmethod
    def scaled(cls, resolution: int, multiplier: float) -> "PackageSettings":
        """The defaults with all channel counts multiplied."""
        capacity, widest = max(1, round(16 * multiplier)), max(8, round(512 * multiplier))
        return cls(resolution, capacity=capacity, widest=widest)


class _PlainLayout(nn.Module):
    """A module whose weights stay in the layout that the package gives them.

    With channels last, torch 2.13 on a CPU writes beyond its memory in the gradient of a 1 x 1
    convolution of stride 2 that has 2 to 7 input channels and an even size, and the process dies:
    the discriminator's first shortcut is one.
    """

    def to(self, *args: Any, **settings: Any) -> Self:
        """As every module's, but for the layout."""
        settings.pop("memory_format", None)
        return super().to(*args, **settings)


class PackageGenerator(_PlainLayout, GeneratorNetwork):
    """`StyleVectorizer` and `Generator` of the package, with its initial weights.

    Args:
        settings: the networks' settings.

    Attributes:
        latent_width: length of z.
        noise_sizes: one noise image of full size; every layer takes a corner of it.
        layers: number of w vectors an image takes.
        classes: 0, the package has no class-conditional networks.

    Raises:
        InputError: the package is not installed.
    """

    def __init__(self, settings: PackageSettings) -> None:
        super().__init__()
        package = import_package()
        self.settings = settings
        self.resolution = settings.resolution
        self.latent_width = settings.latent_width
        self.noise_sizes = (settings.resolution,)
        self.classes = 0
        self.mapping = package.StyleVectorizer(
            settings.latent_width, settings.mapping_layers, lr_mul=settings.mapping_rate
        )
        self.synthesis = package.Generator(
            settings.resolution,
            settings.latent_width,
            settings.capacity,
            attn_layers=settings.attention_layers,
            no_const=not settings.constant_start,
            fmap_max=settings.widest,
        )
        self.layers: int = self.synthesis.num_layers
        _initialise(self)
        for block in self.synthesis.blocks:
            for noise in (block.to_noise1, block.to_noise2):
                nn.init.zeros_(noise.weight)
                nn.init.zeros_(noise.bias)

    def code(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        """W of N x latent_width; `classes` is not used."""
        w: torch.Tensor = self.mapping(z)
        return w

    def synthesise(
        self,
        codes: torch.Tensor,
        noise: tuple[torch.Tensor, ...],
        classes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """One w a layer and image -> images.

        Args:
            codes: N x layers x latent_width.
            noise: one standard normal N x 1 x H x W; the package's own is uniform in [0, 1], which
                the normal's distribution function makes of it.
            classes: not used.

        Returns:
            N x 3 x H x W in [-1, 1]. As in the package nothing bounds them in training mode, where
            they may leave that range; in evaluation mode they are clamped.
        """
        uniform = torch.special.ndtr(noise[0]).permute(0, 2, 3, 1)
        images: torch.Tensor = self.synthesis(codes, uniform).float() * 2.0 - 1.0
        return images if self.training else images.clamp(-1.0, 1.0)


class PackageDiscriminator(_PlainLayout, DiscriminatorNetwork):
    """The package's residual `Discriminator`; it observes the pixels themselves.

    Args:
        settings: the networks' settings.

    Raises:
        InputError: the package is not installed.
    """

    def __init__(self, settings: PackageSettings) -> None:
        super().__init__()
        self.network = import_package().Discriminator(
            settings.resolution,
            settings.capacity,
            attn_layers=settings.attention_layers,
            fmap_max=settings.widest,
        )
        _initialise(self)

    def forward(
        self, observation: Observation, classes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits of real, N x 1: the package's own with their sign turned; no use of `classes`."""
        images = (observation[0].contiguous() + 1.0) / 2.0
        judged: torch.Tensor = self.network(images)[0]
        return -judged.float().reshape(-1, 1)


def _initialise(network: nn.Module) -> None:
    """The package's initial weights, which only its unusable `StyleGAN2` class draws."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, a=0, mode="fan_in", nonlinearity="leaky_relu")
