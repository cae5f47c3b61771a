"""What every loss of this room is made of; one step's losses come back by name."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch

Losses = Mapping[str, torch.Tensor]
"""Scalars by name: ``loss`` is descended, the others are its parts, reported beside it."""
StepLosses = Callable[[int], Losses]
"""The losses of a step; steps are counted over the whole training."""
Forward = Callable[[torch.Tensor], torch.Tensor]
"""Images float N x 3 x H x W in [0, 1] -> logits N x C."""
CrossEntropy = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(logits N x C, targets N or N x C) -> mean loss."""

LOSS = "loss"


class Objective(Protocol):
    """The losses of a batch under some way of training, with what it has learned itself."""

    def __call__(
        self, forward: Forward, images: torch.Tensor, targets: torch.Tensor, step: int
    ) -> Losses:
        """The losses.

        Args:
            forward: asks the network.
            images: float N x 3 x H x W in [0, 1].
            targets: int64 N, or shares N x C.
            step: of the training; all draws follow from it.
        """

    def state_dict(self) -> dict[str, Any]:
        """What it has learned; empty for most."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a `state_dict`."""


class Stateless:
    """Base of objectives that learn nothing themselves."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is nothing to go on from."""


def with_penalty(losses: Losses, penalty: torch.Tensor) -> Losses:
    """The losses with a penalty added to ``loss`` and reported as ``penalty``."""
    return {**losses, LOSS: losses[LOSS] + penalty, "penalty": penalty}
