"""What a training keeps beside its networks: values, running means, and how optimisers come back."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Protocol

import torch

from hzsynth.core.processes import ALONE, Processes


class Stateful(Protocol):
    """Something that learns: a network, an optimiser, a pool, a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, in any nesting."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Goes on from a `state_dict`."""


class Memory(SimpleNamespace):
    """Values that a checkpoint keeps as they are: counters, texts, tensors, the best weights.

    A tensor that replaces another comes back on that one's device.
    """

    def state_dict(self) -> dict[str, Any]:
        """All values by name."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a `state_dict`."""
        for name, value in state.items():
            former = getattr(self, name)
            if isinstance(former, torch.Tensor):
                value = value.to(former.device)
            setattr(self, name, value)


class RunningMeans:
    """Means of named scalars, summed where they are computed and copied when they are asked for.

    Args:
        device: where the sums are kept.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sums: dict[str, torch.Tensor] = {}
        self.count = 0

    def add(self, values: Mapping[str, torch.Tensor]) -> None:
        """Adds the scalars of a step; every step has the same names."""
        for name, value in values.items():
            own = value.detach().to(self._device, torch.float32)
            self._sums[name] = self._sums[name] + own if name in self._sums else own.clone()
        self.count += 1

    def copied(self, processes: Processes = ALONE) -> dict[str, float]:
        """The means over the steps since `clear`, and over the processes that are given."""
        if not self.count:
            return {}
        sums = processes.mean(torch.stack(list(self._sums.values()))).tolist()
        return {name: total / self.count for name, total in zip(self._sums, sums, strict=True)}

    def clear(self) -> None:
        """Begins anew."""
        self._sums, self.count = {}, 0

    def state_dict(self) -> dict[str, Any]:
        """The sums and how many steps are in them."""
        return {"sums": dict(self._sums), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a `state_dict`."""
        self._sums = {name: value.to(self._device) for name, value in state["sums"].items()}
        self.count = state["count"]


def restore_layout(optimiser: torch.optim.Optimizer) -> None:
    """Gives loaded moments the memory layout of their weights: another one could round differently."""
    for parameter, moments in optimiser.state.items():
        for name, value in moments.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
