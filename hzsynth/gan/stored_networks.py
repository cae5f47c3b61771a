"""The networks in a run's checkpoint: what training goes on from, and others start from or ask."""

from dataclasses import dataclass

import torch

from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class StoredNetworks:
    """What a checkpoint holds of the networks.

    Attributes:
        step: of the checkpoint.
        labels: class names of the images that the generator makes.
        generator: the generator's state.
        average: that of the averaged generator.
        discriminator: the discriminator's, without what comes from a package.
    """

    step: int
    labels: tuple[str, ...]
    generator: Weights
    average: Weights
    discriminator: Weights


def stored_networks(run: RunDir) -> StoredNetworks:
    """The networks of a run's last checkpoint; the run may be unfinished.

    Raises:
        InputError: there is no checkpoint, or another version of hzsynth wrote it.
    """
    if not run.has_checkpoint:
        raise InputError(
            f"the run '{run.path}' has no discriminator any more: its checkpoint is gone"
        )
    step, state = run.stored_checkpoint()
    try:
        return StoredNetworks(
            step,
            tuple(state["memory"]["labels"]),
            state["generator"],
            state["average"],
            state["discriminator"],
        )
    except KeyError:
        raise InputError(
            f"another version of hzsynth wrote the checkpoint of '{run.path}': train it anew"
        ) from None
