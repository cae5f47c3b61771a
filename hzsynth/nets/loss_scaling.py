"""Descent that keeps the small gradients of half precision (Micikevicius et al. 2018, arXiv:1710.03740)."""

from typing import Any

import torch

from hzsynth.core.devices import Compute
from hzsynth.core.processes import ALONE, Processes


class Descent:
    """Steps of one optimiser; in fp16 its losses are scaled up and its gradients down again.

    A step whose gradients overflow is left out and the scale halved; after 2,000 good ones it is doubled.
    In other precisions nothing is scaled.

    Args:
        optimiser: of the weights.
        compute: device and precision.
        processes: that train together; gradients are averaged before it is decided whether they
            overflow, so that all decide alike.
    """

    def __init__(
        self, optimiser: torch.optim.Optimizer, compute: Compute, processes: Processes = ALONE
    ) -> None:
        self.optimiser, self._processes = optimiser, processes
        self._scaler = torch.amp.GradScaler(
            compute.device.type, enabled=compute.precision == "fp16"
        )

    def __call__(self, loss: torch.Tensor) -> None:
        """Descends a loss, a scalar with gradient."""
        self.optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        for group in self.optimiser.param_groups:
            self._processes.average_gradients(group["params"])
        self._scaler.step(self.optimiser)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """State of the optimiser and of the scale."""
        return {"optimiser": self.optimiser.state_dict(), "scale": self._scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a `state_dict`."""
        self.optimiser.load_state_dict(state["optimiser"])
        if state["scale"]:
            self._scaler.load_state_dict(state["scale"])
