"""Builds the networks of a configuration, their weights drawn from the run's own seed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch
from torch import nn

from hzsynth.core.seeding import derive_seed
from hzsynth.gan.config import GanConfig
from hzsynth.gan.light import LightGenerator
from hzsynth.gan.lucidrains import (
    LucidrainsDiscriminator,
    LucidrainsGenerator,
    LucidrainsSettings,
)
from hzsynth.gan.projected import ProjectedDiscriminator
from hzsynth.gan.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator

StyledGenerator = StyleGAN2Generator | LucidrainsGenerator
"""Generators with a w space."""

GeneratorNetwork = LightGenerator | StyledGenerator
DiscriminatorNetwork = ProjectedDiscriminator | StyleGAN2Discriminator | LucidrainsDiscriminator
_Network = TypeVar("_Network", bound=nn.Module)


class Generator(Protocol):
    """What makes images: the same seed gives the same image in every batch."""

    def sample(self, seeds: Sequence[int]) -> torch.Tensor:
        """One image a seed, uint8 N x 3 x H x W."""


def conditional_classes(labels: Sequence[str]) -> int:
    """How many classes the networks for these labels are told: with a single one there is no need."""
    return len(labels) if len(labels) > 1 else 0


@contextmanager
def own_initial_weights(seed: int, name: str) -> Iterator[None]:
    """Inside, new layers draw their weights from `seed`; the global generator is left as it was."""
    before = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(derive_seed(seed, "initial-weights", name))
        yield
    finally:
        torch.set_rng_state(before)


def build_generator(config: GanConfig, classes: int = 0) -> GeneratorNetwork:
    """The untrained generator, on the CPU.

    Args:
        config: the run's settings.
        classes: number of classes of a class-conditional generator, else 0.
    """
    network: GeneratorNetwork
    with own_initial_weights(config.seed, "generator"):
        if config.backend == "stylegan2-pytorch":
            return LucidrainsGenerator(_their_settings(config))
        if config.generator == "light":
            network = LightGenerator(config.resolution, config.channel_multiplier, classes)
        else:
            network = StyleGAN2Generator(
                config.resolution,
                config.channel_multiplier,
                config.mapping_layers,
                classes,
                config.mapping_rate,
            )
    return _channels_last(network)


def build_discriminator(config: GanConfig, classes: int = 0) -> DiscriminatorNetwork:
    """The untrained discriminator, on the CPU.

    Args:
        config: the run's settings.
        classes: number of classes of a class-conditional discriminator, else 0.

    Raises:
        InputError: the frozen network's weights are not on this machine.
    """
    network: DiscriminatorNetwork
    with own_initial_weights(config.seed, "discriminator"):
        if config.backend == "stylegan2-pytorch":
            return LucidrainsDiscriminator(_their_settings(config))
        if config.discriminator == "projected":
            network = ProjectedDiscriminator(
                config.channel_multiplier, config.feature_size, classes
            )
        else:
            network = StyleGAN2Discriminator(config.resolution, config.channel_multiplier, classes)
    return _channels_last(network)


def _their_settings(config: GanConfig) -> LucidrainsSettings:
    return LucidrainsSettings.scaled(config.resolution, config.channel_multiplier)


def _channels_last(network: _Network) -> _Network:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """[-1, 1] -> uint8, rounded."""
    return ((images.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


def to_float(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 -> [-1, 1]."""
    return pixels.float() / 127.5 - 1.0
