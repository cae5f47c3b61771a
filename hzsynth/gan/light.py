"""A light generator for tens of images: convolutions with gated linear units and skip excitation.

The design follows the description of FastGAN (Liu et al. 2021, arXiv:2101.04775, section 3):
one upsampling trunk, and gates that let a small early feature map scale the channels of a late
one. It has some two million weights and shows recognisable lesions after a minute on a CPU.
"""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import remove_parametrizations

from hzsynth.gan.interfaces import GeneratorNetwork
from hzsynth.gan.latent import ClassEmbedding, ColourHead, on_sphere
from hzsynth.gan.layers import trunk_widths

LATENT_WIDTH = 64
CLASS_WIDTH = 32


class NearestUpConv2d(nn.Module):
    """Nearest-neighbour doubling and a 3 x 3 convolution, computed as one transposed convolution.

    Doubling repeats every sample, so several of the nine taps read the same value. Adding them
    beforehand gives a 4 x 4 kernel of stride 2 with 16 instead of 36 products a sample, the same
    function, and up to three times the speed on a CPU.

    Args:
        inputs: input channels.
        outputs: output channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        nn.init.kaiming_normal_(self.weight, nonlinearity="linear")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x inputs x H x W -> N x outputs x 2H x 2W."""
        # Row k of the 4 x 4 kernel collects the taps that the nearest neighbour makes coincide.
        rows = functional.pad(self.weight, (0, 0, 0, 1)) + functional.pad(self.weight, (0, 0, 1, 0))
        merged = functional.pad(rows, (0, 1, 0, 0)) + functional.pad(rows, (1, 0, 0, 0))
        kernel = merged.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
        return functional.conv_transpose2d(x, kernel, stride=2, padding=1)


def gated_linear_unit(x: torch.Tensor) -> torch.Tensor:
    """First half of the channels times the sigmoid of the second.

    The same as `torch.nn.functional.glu`, whose gradient loses the channels-last layout and
    makes the batch norm below it several times slower.
    """
    content, gate = x.chunk(2, dim=1)
    return content * torch.sigmoid(gate)


class GatedLayer(nn.Module):
    """Convolution, noise of learned strength, batch norm and a gated linear unit.

    Args:
        inputs: input channels.
        outputs: output channels (the convolution has twice as many: half of them are gates).
        up: double height and width.
    """

    def __init__(self, inputs: int, outputs: int, up: bool) -> None:
        super().__init__()
        self.convolution: nn.Module
        if up:
            self.convolution = NearestUpConv2d(inputs, 2 * outputs)
        else:
            self.convolution = nn.Conv2d(inputs, 2 * outputs, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="linear")
        spectral_norm(self.convolution)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.norm = nn.BatchNorm2d(2 * outputs)

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """N x inputs x H x W -> N x outputs x H x W, or twice that size."""
        y = self.convolution(x)
        y = y + (self.noise_strength * noise).to(y.dtype)
        return gated_linear_unit(self.norm(y))


class SkipExcitation(nn.Module):
    """Gates the channels of a late feature map by an early, small one (arXiv:2101.04775, eq. 1).

    Args:
        early: channels of the early map.
        late: channels of the late map.
    """

    def __init__(self, early: int, late: int) -> None:
        super().__init__()
        self.squeeze = spectral_norm(nn.Conv2d(early, late, 4))
        self.gate = spectral_norm(nn.Conv2d(late, late, 1))

    def forward(self, early: torch.Tensor, late: torch.Tensor) -> torch.Tensor:
        """Returns `late` with its channels scaled by factors in (0, 1)."""
        squeezed = functional.silu(self.squeeze(functional.adaptive_avg_pool2d(early, 4)))
        return late * torch.sigmoid(self.gate(squeezed))


class LightGenerator(GeneratorNetwork):
    """The light generator.

    Args:
        resolution: side of the images in pixels, a power of two from 16.
        multiplier: scales every width.
        classes: number of classes of a class-conditional generator, else 0.

    Attributes:
        latent_width: length of z.
        noise_sizes: side of the noise image of every layer.
    """

    def __init__(self, resolution: int, multiplier: float = 1.0, classes: int = 0) -> None:
        super().__init__()
        widths = trunk_widths(resolution, multiplier)
        self.resolution, self.classes = resolution, classes
        self.latent_width = LATENT_WIDTH
        self.embedding = ClassEmbedding(classes, CLASS_WIDTH) if classes else None
        inputs = LATENT_WIDTH + (CLASS_WIDTH if classes else 0)
        self.start = spectral_norm(nn.ConvTranspose2d(inputs, 2 * widths[4], 4, bias=False))
        self.start_norm = nn.BatchNorm2d(2 * widths[4])
        self.blocks = nn.ModuleDict()
        self.excitations = nn.ModuleDict()
        noise_sizes: list[int] = []
        for size, width in widths.items():
            if size == 4:
                continue
            layers = [GatedLayer(widths[size // 2], width, up=True)]
            if size < resolution:
                layers.append(GatedLayer(width, width, up=False))
            self.blocks[str(size)] = nn.ModuleList(layers)
            noise_sizes += [size] * len(layers)
            if size >= 32:
                self.excitations[str(size)] = SkipExcitation(widths[size // 8], width)
        self.noise_sizes = tuple(noise_sizes)
        self.to_rgb = nn.Conv2d(widths[resolution], 3, 3, padding=1)
        self.colour = ColourHead(gain=0.5)

    def set_colour(self, mean: torch.Tensor) -> None:
        """See `ColourHead.set_colour`."""
        self.colour.set_colour(mean)

    def code(self, z: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        """Z itself, whose length means nothing."""
        return z

    def synthesise(
        self,
        codes: torch.Tensor,
        noise: tuple[torch.Tensor, ...],
        classes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Z of N x latent_width, noise and classes -> N x 3 x H x W in [-1, 1]."""
        noises = iter(noise)
        z = on_sphere(codes)
        if self.embedding is not None:
            assert classes is not None  # whoever draws for such a network draws classes
            z = self.embedding(z, classes)
        start = self.start(z[:, :, None, None])
        start = start.contiguous(memory_format=torch.channels_last)
        maps = {4: gated_linear_unit(self.start_norm(start))}
        for name, layers in self.blocks.items():
            size = int(name)
            x = maps[size // 2]
            for layer in layers:  # type: ignore[attr-defined]
                x = layer(x, next(noises))
            if name in self.excitations:
                x = self.excitations[name](maps[size // 8], x)
            maps[size] = x
        rgb: torch.Tensor = self.colour(self.to_rgb(maps[self.resolution]).float())
        return rgb


def bake_spectral_norm(network: nn.Module) -> None:
    """Replaces every spectrally normalised weight by its present value, for faster sampling."""
    for module in list(network.modules()):
        if hasattr(module, "parametrizations"):
            remove_parametrizations(module, "weight", leave_parametrized=True)
