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
one, and the discriminator can do without norm.
"""

import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Upsampling = Literal["resize", "transposed"]
Output = Literal["residual", "published"]
Norm = Literal["none", "instance"]

# Pixels at the ends of the range have no finite logit: they are pulled in by this factor.
_REACH = 0.95


class ResnetBlock(nn.Module):
    """Two reflection-padded 3x3 convolutions with instance norm, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """N x C x H x W -> the same shape."""
        changed: torch.Tensor = features + self.body(features)
        return changed


def _downsampling(channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
        nn.InstanceNorm2d(2 * channels),
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
    return [*grow, nn.InstanceNorm2d(half), nn.ReLU(inplace=True)]


class ColourChange(nn.Module):
    """A global change of colour that follows from the image's own mean colours and contrasts.

    For every image a gain and a shift of each channel, in logits (see `apply_change`); both
    start at zero.
    """

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.first = nn.Linear(6, hidden)
        self.last = nn.Linear(hidden, 6)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """N x 3 x H x W in [-1, 1] -> change in logits, the same shape."""
        values = to_logits(images)
        spread, mean = torch.std_mean(values, dim=(2, 3))
        weights = self.last(functional.relu(self.first(torch.cat([mean, spread], dim=1))))
        gain, shift = weights.float()[..., None, None].chunk(2, dim=1)
        change: torch.Tensor = gain * (values - mean[..., None, None]) + shift
        return change

    @torch.no_grad()
    def start_at(self, shift: torch.Tensor) -> None:
        """Begins with a fixed shift of the three channels, in logits."""
        self.last.bias[3:] = shift.to(self.last.bias)


class ResnetGenerator(nn.Module):
    """Maps an image of one domain to the other.

    Args:
        width: channels after the first convolution (64 in the paper).
        blocks: residual blocks (6 up to 128 px, 9 above, in the paper).
        upsampling: ``transposed`` as published, or ``resize`` and convolve.
        output: ``published`` or ``residual`` (see the module).
        residual_scale: factor by which the image is reduced before the change is computed; only
            with the residual output.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 9,
        upsampling: Upsampling = "resize",
        output: Output = "residual",
        residual_scale: int = 1,
    ) -> None:
        super().__init__()
        self.output = output
        self.residual_scale = residual_scale if output == "residual" else 1
        self.colour = ColourChange() if output == "residual" else None
        self.last = nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect")
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
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
        if self.output == "published":
            return torch.tanh(self.last(self.body(images)))
        return apply_change(images, self.change(images))

    def change(self, images: torch.Tensor) -> torch.Tensor:
        """The residual output's change, in logits, at the images' resolution."""
        scale = self.residual_scale
        small = functional.avg_pool2d(images, scale) if scale > 1 else images
        change: torch.Tensor = self.last(self.body(small))
        if scale > 1:
            change = functional.interpolate(
                change, scale_factor=scale, mode="bilinear", align_corners=False
            )
        return change if self.colour is None else change.float() + self.colour(images)


def to_logits(images: torch.Tensor) -> torch.Tensor:
    """Images in [-1, 1] -> the unbounded scale on which changes are added."""
    return torch.atanh(_REACH * images.float().clamp(-1, 1))


def apply_change(images: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """Adds a change in logits; zero gives the image back, and the result stays in [-1, 1].

    Args:
        images: N x 3 x H x W in [-1, 1].
        change: the same shape.

    Returns:
        The changed images.
    """
    changed = torch.tanh(to_logits(images) + change.float()) / _REACH
    return changed.clamp(-1, 1)


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
                layers.append(nn.InstanceNorm2d(2 * channels))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.norm = norm
        self.body = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """N x 3 x H x W in [-1, 1], at least 24 px -> N x 1 x H' x W' (30 x 30 at 256 px)."""
        realness: torch.Tensor = self.body(images)
        return realness


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
