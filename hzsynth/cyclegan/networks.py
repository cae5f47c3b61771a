"""The networks of CycleGAN (Zhu et al. 2017): ResNet generator and 70x70 PatchGAN.

Parameter counts of the published form: 11.378 M for the generator with 9 blocks and 64
channels, 2.765 M for the discriminator.

Beside the published output (``tanh`` of the last convolution) there is a residual one: the
network computes a change that is added to the image before the ``tanh``, at a reduced
resolution. It starts as the identity, so a few minutes of training are spent on the tone
and none on learning to copy, and detail finer than the reduced resolution cannot be lost.

Instance norm hides from a network how light or red an image is as a whole, which is the very
thing that a change of skin tone is about: a generator that cannot tell the two domains apart
by tone is held at the identity by the identity loss, and a discriminator that cannot see the
tone does not ask for it. So the residual form has a global colour change beside the local
one, and the discriminator can do without norm. The local change can be gated: a map in [0, 1] that
the network computes with it says where it applies, and is taught to be 0 on lesions, which then move
with the global colour only.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from hzsynth.cyclegan.colour import ColourChange, apply_change
from hzsynth.cyclegan.config import CycleGanConfig, Norm, Output, Upsampling

# Where a gate starts: nearly all of the change applies.
_OPEN = 2.0


class InstanceNorm2d(nn.Module):
    """Instance norm without learned scale and shift (Ulyanov et al. 2016), in channels last.

    PyTorch's own gives back a contiguous result, after which every layer changes the layout again. On a
    CPU each image is therefore a batch of its own to batch norm, which is the same function, keeps
    the layout and is two to three times as fast.

    Args:
        channels: of the images; for the reader, as the layer has no weights.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """N x C x H x W -> the same shape: every channel of every image has mean 0 and variance 1."""
        if features.device.type != "cpu":
            return functional.instance_norm(features)
        normalised = [
            functional.batch_norm(image, None, None, training=True) for image in features.split(1)
        ]
        return torch.cat(normalised) if len(normalised) > 1 else normalised[0]

    def extra_repr(self) -> str:
        """Shown when the network is printed."""
        return str(self.channels)


class ResnetBlock(nn.Module):
    """Two reflection-padded 3x3 convolutions with instance norm, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            InstanceNorm2d(channels),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """N x C x H x W -> the same shape."""
        changed: torch.Tensor = features + self.body(features)
        return changed


def _downsampling(channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
        InstanceNorm2d(2 * channels),
        nn.ReLU(inplace=True),
    ]


def _upsampling(channels: int, kind: Upsampling) -> list[nn.Module]:
    half = channels // 2
    grow: list[nn.Module]
    if kind == "transposed":
        grow = [nn.ConvTranspose2d(channels, half, 3, stride=2, padding=1, output_padding=1)]
    else:
        # Resizing first leaves no checkerboard (Odena et al. 2016).
        grow = [
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(channels, half, 3, padding=1, padding_mode="reflect"),
        ]
    return [*grow, InstanceNorm2d(half), nn.ReLU(inplace=True)]


class ResnetGenerator(nn.Module):
    """Maps an image of one domain to the other.

    Args:
        width: channels after the first convolution (64 in the paper).
        blocks: residual blocks (6 up to 128 px, 9 above, in the paper).
        upsampling: ``transposed`` as published, or ``resize`` and convolve.
        output: ``published`` or ``residual`` (see the module).
        residual_scale: factor by which the image is reduced before the change is computed; only
            with the residual output.
        gated: whether a map says where the local change applies; only with the residual output.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 9,
        upsampling: Upsampling = "resize",
        output: Output = "residual",
        residual_scale: int = 1,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.output = output
        self.gated = gated and output == "residual"
        self.residual_scale = residual_scale if output == "residual" else 1
        self.colour = ColourChange() if output == "residual" else None
        self.last = nn.Conv2d(width, 4 if self.gated else 3, 7, padding=3, padding_mode="reflect")
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect"),
            InstanceNorm2d(width),
            nn.ReLU(inplace=True),
            *_downsampling(width),
            *_downsampling(2 * width),
            *(ResnetBlock(4 * width) for _ in range(blocks)),
            *_upsampling(4 * width, upsampling),
            *_upsampling(2 * width, upsampling),
        )

    @property
    def multiple(self) -> int:
        """Height and width of an input must be multiples of this."""
        return 4 * self.residual_scale

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """N x 3 x H x W in [-1, 1] -> the same, in the other domain."""
        return self.with_gate(images)[0]

    def with_gate(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The translation and, with a gate, its logits: N x 1 x H x W, large where all may change."""
        if self.output == "published":
            return torch.tanh(self.last(self.body(images))), None
        change, gate = self._local_change(images)
        if self.colour is not None:
            change = change + self.colour(images)
        return apply_change(images, change), gate

    def harmonise(self, images: torch.Tensor) -> torch.Tensor:
        """A translation of images whose skin is of the target domain already, such as transplants.

        The tone stays: only the local change is applied, its mean taken off. The published output has
        no such part and is the whole translation.

        Args:
            images: N x 3 x H x W in [-1, 1].

        Returns:
            The same shape.
        """
        if self.output == "published":
            return self.with_gate(images)[0]
        change, _ = self._local_change(images)
        return apply_change(images, change - change.mean(dim=(2, 3), keepdim=True))

    def _local_change(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The residual output's change in logits at the images' resolution, and the gate."""
        computed: torch.Tensor = self.last(self.body(self._reduced(images))).float()
        if self.residual_scale > 1:
            computed = functional.interpolate(
                computed, scale_factor=self.residual_scale, mode="bilinear", align_corners=False
            )
        if not self.gated:
            return computed, None
        gate = computed[:, 3:] + _OPEN
        return torch.sigmoid(gate) * computed[:, :3], gate

    def _reduced(self, images: torch.Tensor) -> torch.Tensor:
        scale = self.residual_scale
        return functional.avg_pool2d(images, scale) if scale > 1 else images

    @property
    def feature_channels(self) -> tuple[int, ...]:
        """Channels of the maps that `features` gives."""
        channels: int = self.last.in_channels
        return (3, 2 * channels, 4 * channels, 4 * channels, 4 * channels)

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """What PatchNCE compares (Park et al. 2020): the image and four maps of the encoder.

        Args:
            images: N x 3 x H x W in [-1, 1].

        Returns:
            The image as the network sees it, both maps after a reduction, and those after the first
            and the middle residual block.
        """
        values = self._reduced(images)
        maps = [values]
        blocks = [i for i, layer in enumerate(self.body) if isinstance(layer, ResnetBlock)]
        # Convolution, norm and activation make nine layers before the blocks.
        wanted = {5, 8, blocks[0], blocks[len(blocks) // 2]}
        for place, layer in enumerate(self.body):
            if place > blocks[len(blocks) // 2]:
                break
            values = layer(values)
            if place in wanted:
                maps.append(values)
        # A network of one block has no other middle.
        return maps if len(blocks) > 1 else [*maps, maps[-1]]


def build_generator(config: CycleGanConfig) -> ResnetGenerator:
    """A generator of the form that a configuration gives."""
    return ResnetGenerator(
        config.width,
        config.blocks,
        config.upsampling,
        config.output,
        config.residual_scale,
        config.keeps("gated"),
    )


class PatchDiscriminator(nn.Module):
    """Judges overlapping 70x70 patches (Isola et al. 2017): a map of realness, no sigmoid.

    Args:
        width: channels after the first convolution (64 in the paper).
        norm: ``instance`` as published, or ``none`` to see absolute colours.
    """

    def __init__(self, width: int = 64, norm: Norm = "instance") -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        for channels, stride in ((width, 2), (2 * width, 2), (4 * width, 1)):
            layers.append(nn.Conv2d(channels, 2 * channels, 4, stride, 1))
            if norm == "instance":
                layers.append(InstanceNorm2d(2 * channels))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.norm = norm
        self.body = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """N x 3 x H x W in [-1, 1], at least 24 px -> N x 1 x H' x W' (30 x 30 at 256 px)."""
        realness: torch.Tensor = self.body(images)
        return realness


def build_discriminator(config: CycleGanConfig) -> PatchDiscriminator:
    """A discriminator of the form that a configuration gives."""
    return PatchDiscriminator(config.discriminator_width, config.discriminator_norm)


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draws weights from N(0, 0.02) as published; a residual output starts at zero change.

    Layers that no norm follows are drawn to keep the variance instead (He et al. 2015).
    """
    bare = isinstance(network, PatchDiscriminator) and network.norm == "none"
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            keeping = bare or isinstance(module, nn.Linear)
            deviation = math.sqrt(2 / module.weight[0].numel()) if keeping else 0.02
            module.weight.normal_(0.0, deviation, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
    if isinstance(network, ResnetGenerator) and network.colour is not None:
        network.last.weight.zero_()
        network.colour.last.weight.zero_()


def count_parameters(network: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
