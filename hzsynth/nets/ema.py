"""Exponential moving average of a network's weights."""

import copy
from typing import Any

import torch
from torch import nn


class ExponentialMovingAverage:
    """A frozen copy of a network whose weights follow it smoothly.

    Parameters are averaged; buffers (batch-norm statistics) are copied.

    Attributes:
        module: the averaged network, in evaluation mode.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, decay: float) -> None:
        """Moves the average: ``average = decay * average + (1 - decay) * current``.

        Args:
            module: the network that is being trained.
            decay: in [0, 1]; 0 copies the network.
        """
        averaged: list[torch.Tensor] = list(self.module.parameters())
        current = [p.detach() for p in module.parameters()]
        torch._foreach_lerp_(averaged, current, 1.0 - decay)
        for mine, theirs in zip(self.module.buffers(), module.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights."""
        return self.module.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the averaged weights."""
        self.module.load_state_dict(state)
