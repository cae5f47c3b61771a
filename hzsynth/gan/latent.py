"""What a generator makes an image from: a latent vector, one noise image a layer, and a class.

All are drawn on the CPU whatever the device, so a seed means the same image everywhere
(up to the device's rounding), and per image, so that it does not depend on its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hzsynth.core.seeding import torch_generator


@dataclass(frozen=True)
class Latent:
    """The random part of a batch of images.

    Attributes:
        z: N x D, standard normal.
        noise: for every layer with noise N x 1 x H x W, standard normal.
        classes: int64 N for a class-conditional generator, else None.
    """

    z: torch.Tensor
    noise: tuple[torch.Tensor, ...]
    classes: torch.Tensor | None = None

    def to(self, device: torch.device) -> "Latent":
        """The same on another device."""
        classes = None if self.classes is None else self.classes.to(device)
        return Latent(self.z.to(device), tuple(n.to(device) for n in self.noise), classes)


def draw_latent(
    count: int,
    width: int,
    noise_sizes: Sequence[int],
    generator: torch.Generator,
    classes: int = 0,
) -> Latent:
    """Draws the random part of `count` images.

    Args:
        count: N.
        width: D, the length of z.
        noise_sizes: side in pixels of every layer's noise image.
        generator: a CPU generator.
        classes: number of classes to draw from, each as likely as any other; 0 draws none.

    Returns:
        The latent, on the CPU.
    """
    z = torch.randn(count, width, generator=generator)
    noise = tuple(torch.randn(count, 1, s, s, generator=generator) for s in noise_sizes)
    drawn = torch.randint(classes, (count,), generator=generator) if classes else None
    return Latent(z, noise, drawn)


def latent_of_seeds(
    seeds: Sequence[int],
    width: int,
    noise_sizes: Sequence[int],
    classes: Sequence[int] | None = None,
) -> Latent:
    """The latent of every seed on its own: image i depends on ``seeds[i]`` and its class alone."""
    drawn = [
        draw_latent(1, width, noise_sizes, torch_generator(seed, "gan-image")) for seed in seeds
    ]
    z = torch.cat([d.z for d in drawn])
    noise = tuple(torch.cat(layer) for layer in zip(*(d.noise for d in drawn), strict=True))
    return Latent(z, noise, None if classes is None else torch.tensor(classes))


def on_sphere(z: torch.Tensor) -> torch.Tensor:
    """Scales every vector to the length sqrt(D): the second moment of each becomes one."""
    return z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)


class ClassEmbedding(torch.nn.Module):
    """Learned vectors that tell a generator which class to make.

    Both halves of what the generator gets are normalised, so that neither drowns the other
    (arXiv:2006.06676, section "class-conditional").

    Args:
        classes: their number.
        width: length of a vector.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.vectors = torch.nn.Embedding(classes, width)

    def forward(self, z: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """N x D on the sphere and int64 N -> N x (D + width)."""
        return torch.cat([z, on_sphere(self.vectors(classes))], dim=1)


class ColourHead(torch.nn.Module):
    """Brings raw RGB to [-1, 1] so that the first images have the reals' mean colour.

    ``tanh(gain * y + atanh(colour))``: with a small gain no pixel starts saturated. With gain 1
    a quarter of them do, and training runs into pure colours.

    Args:
        gain: scale of the raw output at the start.
    """

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(3))
        self.gain = gain

    offset: torch.Tensor

    def set_colour(self, mean: torch.Tensor) -> None:
        """Sets the mean colour of the reals, three values in [-1, 1]."""
        self.offset.copy_(torch.atanh(mean.clamp(-0.9, 0.9)))

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """N x 3 x H x W, any range -> the same shape in [-1, 1]."""
        return torch.tanh(self.gain * y + self.offset[:, None, None])
