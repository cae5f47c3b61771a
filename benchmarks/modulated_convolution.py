"""Modulated convolution: one shared kernel against the usual grouped convolution.

Forward and backward of one StyleGAN2 layer at 16, 32 and 64 px (256, 256, 128 channels), batch
16, both paths of `hzsynth.gan.layers.modulated_conv2d`, which tests hold equal to 1e-5.
"""

from collections.abc import Callable

import torch
from common import Pair, measure_pairs, parse_fast, report

from hzsynth.core.devices import choose_compute
from hzsynth.gan.layers import ModulationPath, modulated_conv2d


def layer(channels: int, size: int, batch: int, path: ModulationPath) -> Callable[[], None]:
    compute = choose_compute(precision="fp32")
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(compute.device).requires_grad_()

    images = draw(batch, channels, size, size)
    weight, style = draw(channels, channels, 3, 3), draw(batch, channels)

    def step() -> None:
        modulated_conv2d(images, weight, style, path=path).square().mean().backward()

    return step


def main() -> None:
    fast = parse_fast(__doc__ or "")
    pairs: list[Pair] = []
    for size, channels in ((16, 256), (32, 256), (64, 128)):
        batch = 4 if fast else 16
        pairs += measure_pairs(
            f"{size} px, {channels} channels, batch {batch}",
            layer(channels, size, batch, "shared"),
            layer(channels, size, batch, "grouped"),
            repeats=3 if fast else 7,
        )
    report("modulated_convolution", "shared kernel over grouped convolution", 2.0, pairs)


if __name__ == "__main__":
    main()
