"""StyleGAN2: mapping network, skip-RGB generator and residual discriminator.

Written from Karras et al. 2020 (arXiv:1912.04958; configuration F) and, for the small-data
settings, Karras et al. 2020 (arXiv:2006.06676). One deviation: the RGB sum passes the
`ColourHead`, so that the first images have the reals' mean colour and stay in [-1, 1].
"""

import itertools
import math

import torch
from torch import nn

from hzsynth.core.errors import InputError
from hzsynth.gan.interfaces import DiscriminatorNetwork, GeneratorNetwork, Observation
from hzsynth.gan.latent import ClassEmbedding, ColourHead, on_sphere
from hzsynth.gan.layers import (
    ClassProjection,
    EqualizedConv2d,
    EqualizedLinear,
    leaky_relu,
    modulated_conv2d,
    modulation_path,
    trunk_widths,
    upsample,
)

LATENT_WIDTH = 64
STYLE_WIDTH = 128
CLASS_WIDTH = 64
STDDEV_GROUP = 4


def stage_widths(resolution: int, multiplier: float) -> dict[int, int]:
    """The discriminator's channels: 2048 / size, at most 256; multiplied and a multiple of 8."""
    sizes = [4 << i for i in range(resolution.bit_length() - 2)]
    return {s: max(8, 8 * round(min(256, 2048 // s) * multiplier / 8)) for s in sizes}


class MappingNetwork(nn.Module):
    """z -> w: equalised linear layers with a share of the learning rate.

    Args:
        inputs: length of z.
        outputs: length of w.
        layers: depth (8 in the paper; 2 serves small sets better).
        rate: share of the learning rate (0.01 in the paper; a run of some hundred steps needs more).
    """

    def __init__(self, inputs: int, outputs: int, layers: int, rate: float = 0.01) -> None:
        super().__init__()
        widths = [inputs] + [outputs] * layers
        self.layers = nn.ModuleList(
            EqualizedLinear(a, b, rate=rate) for a, b in itertools.pairwise(widths)
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """N x inputs, every vector of length sqrt(inputs) -> N x outputs."""
        x = z
        for layer in self.layers:
            x = leaky_relu(layer(x))
        return x


class StyledConv2d(nn.Module):
    """Modulated 3 x 3 convolution, noise of learned strength, bias, leaky ReLU.

    Args:
        inputs: input channels.
        outputs: output channels.
        style: length of w.
        up: double height and width.
    """

    def __init__(self, inputs: int, outputs: int, style: int, up: bool) -> None:
        super().__init__()
        self.style = EqualizedLinear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.scale = 1.0 / math.sqrt(inputs * 9)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.up = up

    def forward(self, x: torch.Tensor, w: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """N x inputs x H x W -> N x outputs x H x W, or twice that size."""
        path = modulation_path(x.device)
        y = modulated_conv2d(x, self.weight * self.scale, self.style(w), up=self.up, path=path)
        y = y + (self.noise_strength * noise + self.bias[:, None, None]).to(y.dtype)
        return leaky_relu(y)


class ToRGB(nn.Module):
    """Modulated 1 x 1 convolution to RGB, without demodulation.

    Args:
        inputs: input channels.
        style: length of w.
    """

    def __init__(self, inputs: int, style: int) -> None:
        super().__init__()
        self.style = EqualizedLinear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.scale = 1.0 / math.sqrt(inputs)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """N x inputs x H x W -> N x 3 x H x W."""
        path = modulation_path(x.device)
        weight = self.weight * self.scale
        rgb = modulated_conv2d(x, weight, self.style(w), demodulate=False, path=path)
        return rgb + self.bias[:, None, None]


class StyleGAN2Generator(GeneratorNetwork):
    """Mapping and skip-RGB synthesis.

    Args:
        resolution: side of the images in pixels, a power of two from 16.
        multiplier: scales every width.
        mapping_layers: depth of the mapping network.
        mapping_rate: its share of the learning rate.
        classes: number of classes of a class-conditional generator, else 0.

    Attributes:
        latent_width: length of z.
        noise_sizes: side of the noise image of every layer.
        layers: number of w vectors an image takes: one a convolution and the last RGB's.
    """

    def __init__(
        self,
        resolution: int,
        multiplier: float = 1.0,
        mapping_layers: int = 2,
        classes: int = 0,
        mapping_rate: float = 0.01,
    ) -> None:
        super().__init__()
        widths = trunk_widths(resolution, multiplier)
        self.resolution, self.classes = resolution, classes
        self.latent_width = LATENT_WIDTH
        self.embedding = ClassEmbedding(classes, CLASS_WIDTH) if classes else None
        inputs = LATENT_WIDTH + (CLASS_WIDTH if classes else 0)
        self.mapping = MappingNetwork(inputs, STYLE_WIDTH, mapping_layers, mapping_rate)
        self.constant = nn.Parameter(torch.randn(1, widths[4], 4, 4))
        convolutions = [StyledConv2d(widths[4], widths[4], STYLE_WIDTH, up=False)]
        to_rgb = [ToRGB(widths[4], STYLE_WIDTH)]
        noise_sizes = [4]
        for size, width in widths.items():
            if size > 4:
                convolutions.append(StyledConv2d(widths[size // 2], width, STYLE_WIDTH, up=True))
                convolutions.append(StyledConv2d(width, width, STYLE_WIDTH, up=False))
                to_rgb.append(ToRGB(width, STYLE_WIDTH))
                noise_sizes += [size, size]
        self.convolutions = nn.ModuleList(convolutions)
        self.to_rgb = nn.ModuleList(to_rgb)
        self.noise_sizes = tuple(noise_sizes)
        self.layers = len(convolutions) + 1
        self.colour = ColourHead(gain=0.2)

    def set_colour(self, mean: torch.Tensor) -> None:
        """See `ColourHead.set_colour`."""
        self.colour.set_colour(mean)

    def code(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        """N x latent_width and, if conditional, int64 N -> w of N x STYLE_WIDTH."""
        x = on_sphere(z)
        if self.embedding is not None:
            assert classes is not None  # whoever draws for such a network draws classes
            x = self.embedding(x, classes)
        w: torch.Tensor = self.mapping(x)
        return w

    def synthesise(
        self,
        codes: torch.Tensor,
        noise: tuple[torch.Tensor, ...],
        classes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """One w a layer and image, N x layers x STYLE_WIDTH -> N x 3 x H x W in [-1, 1].

        The class is in w; `classes` is not used.
        """
        x = self.constant.expand(codes.shape[0], -1, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.convolutions[0](x, codes[:, 0], noise[0])
        rgb = self.to_rgb[0](x, codes[:, 1])
        for stage, to_rgb in enumerate(list(self.to_rgb)[1:]):
            first = 1 + 2 * stage
            x = self.convolutions[first](x, codes[:, first], noise[first])
            x = self.convolutions[first + 1](x, codes[:, first + 1], noise[first + 1])
            # The RGB layer shares its w with the next stage's first convolution.
            rgb = upsample(rgb) + to_rgb(x, codes[:, first + 2])
        image: torch.Tensor = self.colour(rgb.float())
        return image


def mix_styles(w: torch.Tensor, other: torch.Tensor, crossover: torch.Tensor) -> torch.Tensor:
    """Style mixing: layers from `crossover` on take the other w.

    Args:
        w: N x L x D.
        other: N x L x D.
        crossover: N whole numbers in [1, L]; L mixes nothing.

    Returns:
        N x L x D.
    """
    layer = torch.arange(w.shape[1], device=w.device)
    return torch.where((layer[None, :] < crossover[:, None])[:, :, None], w, other)


def minibatch_stddev(x: torch.Tensor, group: int = STDDEV_GROUP) -> torch.Tensor:
    """Appends one channel with the mean standard deviation within groups of images.

    Lets the discriminator see a lack of variety (arXiv:1710.10196, section 3).

    Args:
        x: N x C x H x W. Image i belongs to group i mod (N / size).
        group: images a group; the largest divisor of N up to it is used.

    Returns:
        N x (C + 1) x H x W.
    """
    count, channels, height, width = x.shape
    size = next(g for g in range(min(group, count), 0, -1) if count % g == 0)
    grouped = x.reshape(size, count // size, channels, height, width).float()
    spread = (grouped.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    channel = spread.to(x.dtype).repeat(size)[:, None, None, None].expand(-1, 1, height, width)
    return torch.cat([x, channel], dim=1)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, the second halving the size, beside a 1 x 1 shortcut.

    Args:
        inputs: input channels.
        outputs: output channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualizedConv2d(inputs, inputs, 3)
        self.second = EqualizedConv2d(inputs, outputs, 3, down=True)
        self.shortcut = EqualizedConv2d(inputs, outputs, 1, bias=False, down=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x inputs x H x W -> N x outputs x H/2 x W/2."""
        y = leaky_relu(self.second(leaky_relu(self.first(x))))
        summed: torch.Tensor = (y + self.shortcut(x)) * math.sqrt(0.5)
        return summed


class StyleGAN2Discriminator(DiscriminatorNetwork):
    """The residual discriminator; it observes the pixels themselves.

    Args:
        resolution: side of the images in pixels, a power of two from 16.
        multiplier: scales every width.
        classes: number of classes to judge by, else 0.
    """

    compared_images = STDDEV_GROUP

    def __init__(self, resolution: int, multiplier: float = 1.0, classes: int = 0) -> None:
        super().__init__()
        widths = stage_widths(resolution, multiplier)
        self.from_rgb = EqualizedConv2d(3, widths[resolution], 1)
        sizes = sorted((s for s in widths if s > 4), reverse=True)
        self.blocks = nn.Sequential(*(ResidualBlock(widths[s], widths[s // 2]) for s in sizes))
        self.last = EqualizedConv2d(widths[4] + 1, widths[4], 3)
        self.hidden = EqualizedLinear(widths[4] * 16, widths[4])
        self.logit = EqualizedLinear(widths[4], 1)
        self.projection = ClassProjection(classes, widths[4]) if classes else None

    def forward(
        self, observation: Observation, classes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits of real (and, if conditional, of the class: int64 N), N x 1."""
        x = self.blocks(leaky_relu(self.from_rgb(observation[0])))
        x = leaky_relu(self.last(minibatch_stddev(x)))
        hidden = leaky_relu(self.hidden(x.flatten(1)))
        logits: torch.Tensor = self.logit(hidden)
        if self.projection is not None:
            assert classes is not None  # the training loop sees to it
            logits = logits + self.projection(hidden, classes)
        return logits.float()

    def freeze_first_blocks(self, count: int) -> None:
        """The layers nearest to the image learn nothing: FreezeD (Mo et al. 2020, arXiv:2002.10964).

        Args:
            count: number of residual blocks; the first convolution is frozen with them.

        Raises:
            InputError: there are not so many.
        """
        if count > len(self.blocks):
            raise InputError(
                f"`freeze_d` is at most {len(self.blocks)} at this resolution, not {count}"
            )
        if count:
            self.from_rgb.requires_grad_(False)
            for block in list(self.blocks)[:count]:
                block.requires_grad_(False)
