"""Building blocks of StyleGAN2: equalised layers, FIR resampling, modulated convolution.

Papers: equalised learning rate (Karras et al. 2018, arXiv:1710.10196, section 4.1); modulation
and demodulation (Karras et al. 2020, arXiv:1912.04958, equations 1-3).
"""

import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

ModulationPath = Literal["shared", "grouped"]
LEAK = 0.2
ACTIVATION_GAIN = math.sqrt(2.0)


def leaky_relu(x: torch.Tensor) -> torch.Tensor:
    """Leaky ReLU of slope 0.2, scaled by sqrt(2) so that it keeps the variance."""
    return functional.leaky_relu(x, LEAK) * ACTIVATION_GAIN


class EqualizedLinear(nn.Module):
    """A linear layer whose weights are N(0, 1) and scaled at run time by 1 / sqrt(fan-in).

    Args:
        inputs: input features.
        outputs: output features.
        bias: initial value of every bias.
        rate: learning-rate multiplier of weights and biases.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale = rate / math.sqrt(inputs)
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x inputs -> N x outputs."""
        return functional.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualizedConv2d(nn.Module):
    """A convolution with equalised learning rate and "same" padding.

    Args:
        inputs: input channels.
        outputs: output channels.
        kernel: odd kernel size.
        bias: whether each output channel has a learned bias.
        down: halve height and width (after a FIR low-pass).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, bias: bool = True, down: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = 1.0 / math.sqrt(inputs * kernel**2)
        self.kernel = kernel
        self.down = down

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x inputs x H x W -> N x outputs x H x W, or half of that size."""
        weight = self.weight * self.scale
        if not self.down:
            return functional.conv2d(x, weight, self.bias, padding=self.kernel // 2)
        # The low-pass and the strided convolution share one padding (kernel 1: stride in the FIR).
        if self.kernel == 1:
            return functional.conv2d(downsample(x), weight, self.bias)
        margin = self.kernel // 2 + 1
        return functional.conv2d(fir_filter(x, margin, margin), weight, self.bias, stride=2)


class ClassProjection(nn.Module):
    """What a discriminator adds to its logits for the class (Miyato and Koyama 2018, 1802.05637).

    Args:
        classes: their number.
        width: channels of the features.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(classes, width)
        self.scale = 1.0 / math.sqrt(width)

    def forward(self, features: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """N x width (x H x W) and int64 N -> N x 1 (x H x W)."""
        vectors = self.vectors(classes).reshape(*features.shape[:2], *[1] * (features.ndim - 2))
        projected: torch.Tensor = (features * vectors).sum(dim=1, keepdim=True) * self.scale
        return projected


def fir_kernel(channels: int, gain: float, like: torch.Tensor) -> torch.Tensor:
    """The separable binomial low-pass [1, 3, 3, 1], normalised, one copy a channel.

    Returns:
        channels x 1 x 4 x 4, of the type and on the device of `like`, summing to `gain`.
    """
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=like.dtype, device=like.device)
    kernel = torch.outer(taps, taps) * (gain / 64.0)
    return kernel.expand(channels, 1, 4, 4)


def fir_filter(
    x: torch.Tensor, before: int, after: int, gain: float = 1.0, stride: int = 1
) -> torch.Tensor:
    """Low-pass of an image batch with zeros outside.

    Args:
        x: N x C x H x W.
        before: rows and columns of zeros added above and left.
        after: the same, below and right.
        gain: sum of the filter's taps.
        stride: keep every stride-th sample.

    Returns:
        N x C x (H + before + after - 3) x ..., divided by the stride.
    """
    channels = x.shape[1]
    kernel = fir_kernel(channels, gain, x)
    if before == after:
        return functional.conv2d(x, kernel, stride=stride, padding=before, groups=channels)
    padded = functional.pad(x, (before, after, before, after))
    return functional.conv2d(padded, kernel, stride=stride, groups=channels)


def upsample(x: torch.Tensor) -> torch.Tensor:
    """Doubles height and width: zeros between the samples, then the FIR with gain 4."""
    channels = x.shape[1]
    kernel = fir_kernel(channels, 4.0, x)
    return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


def downsample(x: torch.Tensor) -> torch.Tensor:
    """Halves height and width: the FIR, then every second sample."""
    return fir_filter(x, 1, 1, stride=2)


def modulation_path(device: torch.device) -> ModulationPath:
    """Which of the two equal ways to compute a modulated convolution a device takes.

    On a CPU grouped convolutions of small groups are slow: at 64 px the shared path was measured
    14 times faster, forward and backward, at batch 16 on two cores. On a GPU the shared path
    is taken for training too, because it keeps one large kernel in channels-last layout; there
    it has not been measured, and the grouped one serves other devices as the plain definition.
    """
    return "shared" if device.type in ("cpu", "cuda") else "grouped"


def modulated_conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    style: torch.Tensor,
    *,
    demodulate: bool = True,
    up: bool = False,
    path: ModulationPath = "shared",
) -> torch.Tensor:
    """Convolution whose kernel is scaled per sample (arXiv:1912.04958, equations 1-3).

    Args:
        x: N x I x H x W.
        weight: O x I x K x K with odd K; K = 3 where `up` is asked for.
        style: N x I, the scale of every input channel.
        demodulate: divide every output channel by the L2 norm of its modulated kernel.
        up: double height and width (transposed convolution, then the FIR).
        path: ``shared`` scales the input, convolves all samples with one kernel and scales the
            output; ``grouped`` makes one kernel a sample. Both compute the same function.

    Returns:
        N x O x H x W, or twice that size.
    """
    if path == "shared":
        y = _convolve(x * style[:, :, None, None], weight, 1, up)
        if demodulate:
            y = y * demodulation(weight, style)[:, :, None, None]
        return y
    count, inputs, height, width = x.shape
    kernels = weight[None] * style[:, None, :, None, None]
    if demodulate:
        kernels = kernels * demodulation(weight, style)[:, :, None, None, None]
    grouped = x.reshape(1, count * inputs, height, width)
    y = _convolve(grouped, kernels.flatten(0, 1), count, up)
    return y.reshape(count, -1, *y.shape[2:])


def demodulation(weight: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """1 / L2 norm of every modulated kernel (equation 3).

    Args:
        weight: O x I x K x K.
        style: N x I.

    Returns:
        N x O.
    """
    energy = style.square() @ weight.square().sum(dim=(2, 3)).t()
    return torch.rsqrt(energy + 1e-8)


def _convolve(x: torch.Tensor, weight: torch.Tensor, groups: int, up: bool) -> torch.Tensor:
    """Convolution in `groups` groups with weights of shape (groups O) x I x K x K."""
    kernel = weight.shape[-1]
    if not up:
        return functional.conv2d(x, weight, padding=kernel // 2, groups=groups)
    # conv_transpose2d wants (groups I) x O x K x K and mirrors the kernel.
    inputs = weight.shape[1]
    transposed = weight.reshape(groups, -1, inputs, kernel, kernel).transpose(1, 2).flip(3, 4)
    y = functional.conv_transpose2d(x, transposed.flatten(0, 1), stride=2, groups=groups)
    # 2H + 1 samples and a filter of four taps: one row of zeros on either side leaves 2H.
    return fir_filter(y, 1, 1, gain=4.0)


def trunk_widths(resolution: int, multiplier: float) -> dict[int, int]:
    """A generator's channels at every size from 4 px on: 256 at 4 px, halved at each doubling.

    Above 64 px the small sizes keep 256 channels, so that the last ones are not starved.
    """
    top = 1024 * max(1, resolution // 64)
    sizes = [4 << i for i in range(resolution.bit_length() - 2)]
    return {s: max(8, 8 * round(min(256, top // s) * multiplier / 8)) for s in sizes}
