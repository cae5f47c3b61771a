"""Builds the networks of a configuration, their weights drawn from the run's own seed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

from hzsynth.core.seeding import derive_seed
from hzsynth.gan.backends import backend_named
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import DiscriminatorNetwork, GeneratorNetwork

_Network = TypeVar("_Network", bound=nn.Module)


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

    Raises:
        InputError: the backend's package is not installed.
    """
    with own_initial_weights(config.seed, "generator"):
        return _channels_last(backend_named(config.backend).generator(config, classes))


def build_stored_generator(stored: Mapping[str, Any]) -> GeneratorNetwork:
    """The generator of a file, whose weights are still to be loaded, on the CPU.

    Args:
        stored: what the file holds: settings, labels, weights.

    Raises:
        InputError: the backend's package is not installed.
    """
    config = GanConfig.from_sources(None, stored["config"])
    classes = conditional_classes(stored["labels"])
    with own_initial_weights(config.seed, "generator"):
        backend = backend_named(config.backend)
        return _channels_last(backend.stored_generator(stored, config, classes))


def build_discriminator(config: GanConfig, classes: int = 0) -> DiscriminatorNetwork:
    """The untrained discriminator, on the CPU.

    Args:
        config: the run's settings.
        classes: number of classes of a class-conditional discriminator, else 0.

    Raises:
        InputError: the frozen network's weights are not on this machine, or the backend's package is
            not installed.
    """
    with own_initial_weights(config.seed, "discriminator"):
        return _channels_last(backend_named(config.backend).discriminator(config, classes))


def _channels_last(network: _Network) -> _Network:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """[-1, 1] -> uint8, rounded."""
    return ((images.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


def to_float(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 -> [-1, 1]."""
    return pixels.float() / 127.5 - 1.0
