"""Starting from another run's weights: transfer to a rare class, or going on with new photographs."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.networks import DiscriminatorNetwork
from hzsynth.gan.stylegan2 import StyleGAN2Discriminator

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
    if not run.has_checkpoint:
        raise InputError(f"--init '{path}' has no checkpoint to start from")
    _, state = run.stored_checkpoint()
    before = GanConfig.from_sources(None, run.config)
    for name in ("resolution", "backend", "generator", "discriminator", "channel_multiplier"):
        ours, theirs = getattr(config, name), getattr(before, name)
        if ours != theirs:
            raise InputError(f"--init '{path}' has {name} {theirs}, this run has {ours}")
    _load(generator, state["generator"], path)
    _load(average, state["average"], path)
    _load(discriminator, {**discriminator.state_dict(), **state["discriminator"]}, path)


def _load(network: nn.Module, weights: Mapping[str, torch.Tensor], path: Path) -> None:
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    missing = [k for k in own if k not in fitting and not k.endswith(_OF_CLASSES)]
    if missing:
        raise InputError(
            f"--init '{path}' has other networks: '{missing[0]}' does not fit (a class-conditional "
            "run starts from a class-conditional one, and from the same mapping_layers)"
        )
    network.load_state_dict({**own, **fitting})


def freeze_first_blocks(discriminator: DiscriminatorNetwork, count: int) -> None:
    """FreezeD (Mo et al. 2020, arXiv:2002.10964): the layers nearest to the image do not learn.

    Args:
        discriminator: a residual one.
        count: number of residual blocks; the first convolution is frozen with them.

    Raises:
        InputError: it has not so many blocks.
    """
    if count == 0:
        return
    assert isinstance(discriminator, StyleGAN2Discriminator)  # the configuration sees to it
    if count > len(discriminator.blocks):
        raise InputError(
            f"freeze_d is at most {len(discriminator.blocks)} at this resolution, not {count}"
        )
    discriminator.from_rgb.requires_grad_(False)
    for block in list(discriminator.blocks)[:count]:
        block.requires_grad_(False)
