"""Starting from another run's weights: transfer to a rare class, or going on with new photographs."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import DiscriminatorNetwork
from hzsynth.gan.stored_networks import stored_networks

_OF_CLASSES = (".vectors.weight",)
"""Weights that depend on the classes; those of other classes start anew."""


def start_from(
    path: Path,
    config: GanConfig,
    generator: nn.Module,
    average: nn.Module,
    discriminator: DiscriminatorNetwork,
) -> None:
    """Loads the weights of another run into new networks.

    Args:
        path: the run; it may be unfinished.
        config: of the new run: the same resolution, networks and widths.
        generator: gets its generator's weights.
        average: gets those of its averaged generator.
        discriminator: gets its discriminator's.

    Raises:
        InputError: no such run, it has no checkpoint, or its networks are others.
    """
    run = RunDir.load(path, "gan")
    stored = stored_networks(run)
    before = GanConfig.from_sources(None, run.config)
    for name in ("resolution", "backend", "generator", "discriminator", "channel_multiplier"):
        ours, theirs = getattr(config, name), getattr(before, name)
        if ours != theirs:
            raise InputError(f"`init` '{path}' has {name} {theirs}, this run has {ours}")
    _load(generator, stored.generator, path)
    _load(average, stored.average, path)
    _load(discriminator, {**discriminator.state_dict(), **stored.discriminator}, path)


def _load(network: nn.Module, weights: Mapping[str, torch.Tensor], path: Path) -> None:
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    missing = [k for k in own if k not in fitting and not k.endswith(_OF_CLASSES)]
    if missing:
        raise InputError(
            f"`init` '{path}' has other networks: '{missing[0]}' does not fit (a class-conditional "
            "run starts from a class-conditional one, and from the same mapping_layers)"
        )
    network.load_state_dict({**own, **fitting})
