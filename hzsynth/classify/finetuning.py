"""Fine-tuning strategies: which weights learn, at which rate, for how long.

LP-FT (Kumar et al. 2022, arXiv 2202.10054) trains the linear head on the frozen body first
(linear probing), then everything at a lower rate: features are not distorted by the gradients
of a random head. In the linear phase the features of all images are computed once and the
head sees all of them at every step. Batch-norm statistics of pretrained bodies stay
as they are: some tens of images estimate them worse than ImageNet did.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from hzsynth.classify.models import Triple, head_of, normalise, pooled_features, to_unit
from hzsynth.core.devices import Compute

Strategy = Literal["lp-ft", "full", "linear"]

_WARM_UP = 0.1
_FLOOR = 0.05
_AT_ONCE = 64

PhaseLoss = Callable[[int], torch.Tensor]
"""The loss of a step; steps are counted over the whole training."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one loss and one optimiser.

    Attributes:
        name: for the metrics.
        steps: optimiser steps.
        trains_body: whether all weights learn; otherwise the head only.
        body_rate: Adam's learning rate of the body.
        head_rate: Adam's learning rate of the head.
        loss: of the network at a step.
    """

    name: str
    steps: int
    trains_body: bool
    body_rate: float
    head_rate: float
    loss: PhaseLoss


def linear_steps(strategy: Strategy, steps: int, share: float) -> int:
    """How many of `steps` are linear probing: all, none, or for LP-FT a share of them."""
    if strategy == "linear":
        return steps
    if strategy == "full":
        return 0
    return min(steps - 1, max(1, round(steps * share))) if steps > 1 else 0


def rate_factor(step: int, steps: int) -> float:
    """Learning rate over its maximum: a short linear warm-up, then half a cosine.

    Args:
        step: 0 to steps - 1 within the phase.
        steps: of the phase.

    Returns:
        A factor in (0, 1]; the last steps keep 5 %.
    """
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))


def set_mode(network: nn.Module, trains_body: bool, freeze_statistics: bool) -> None:
    """Prepares a network for a phase.

    Args:
        network: the network.
        trains_body: whether all weights get gradients, otherwise the head only.
        freeze_statistics: keep the running statistics of batch-norm layers.
    """
    network.requires_grad_(trains_body)
    head_of(network).requires_grad_(True)
    network.train(trains_body)
    if freeze_statistics:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def make_optimiser(network: nn.Module, phase: Phase, weight_decay: float) -> torch.optim.Adam:
    """Adam over the weights that learn in a phase; group 0 is the head, group 1 the body."""
    head = list(head_of(network).parameters())
    groups = [{"params": head, "rate": phase.head_rate}]
    if phase.trains_body:
        ids = {id(parameter) for parameter in head}
        body = [p for p in network.parameters() if id(p) not in ids]
        groups.append({"params": body, "rate": phase.body_rate})
    return torch.optim.Adam(groups, lr=phase.head_rate, weight_decay=weight_decay)


class LinearProbe:
    """Cross-entropy of the head on the frozen body's features of all training images.

    Args:
        network: in the linear phase (evaluation mode, see `set_mode`) whenever it is asked.
        images: makes them, uint8 N x 3 x H x W; called when the phase begins.
        targets: int64 N, or float32 N x C, shares of the classes.
        weights: float C, of the classes.
        normalisation: mean and standard deviation of the network's input.
        compute: device and precision.
    """

    def __init__(
        self,
        network: nn.Module,
        images: Callable[[], torch.Tensor],
        targets: torch.Tensor,
        weights: torch.Tensor,
        normalisation: tuple[Triple, Triple],
        compute: Compute,
    ) -> None:
        self._network, self._images, self._compute = network, images, compute
        self._targets = targets.to(compute.device)
        self._weights = weights.to(compute.device)
        self._mean, self._std = normalisation

    @cached_property
    def features(self) -> torch.Tensor:
        """float32 N x D, computed once (the body does not change in this phase)."""
        parts = []
        with torch.no_grad(), self._compute.autocast():
            for chunk in self._images().split(_AT_ONCE):
                inputs = normalise(to_unit(chunk, self._compute), self._mean, self._std)
                parts.append(pooled_features(self._network, inputs).float())
        return torch.cat(parts)

    def __call__(self, step: int) -> torch.Tensor:
        """The loss; the same at every step but for the head's weights."""
        logits = head_of(self._network)(self.features)
        return functional.cross_entropy(logits, self._targets, weight=self._weights)
