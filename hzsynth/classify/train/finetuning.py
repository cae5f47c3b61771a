"""Fine-tuning: which weights learn, at which rate, for how long.

LP-FT (Kumar et al. 2022, arXiv 2202.10054) trains the linear head on the frozen body first
(linear probing), then everything at a lower rate: features are not distorted by the gradients
of a random head. In the linear phase the features of all images are computed once and the
head sees all of them at every step. Batch-norm statistics of pretrained bodies stay
as they are: some tens of images estimate them worse than ImageNet did. The other strategies are
put together in `classify.train.strategies`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hzsynth.classify.models import PixelNetwork, head_of
from hzsynth.classify.train.config import Optimiser, Schedule, Strategy
from hzsynth.classify.train.objective import LOSS, Losses, StepLosses
from hzsynth.core.training_state import Stateful
from hzsynth.nets.backbones import layer_parameters

_WARM_UP = 0.1
_FLOOR = 0.05


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one loss and one optimiser.

    Attributes:
        name: for the metrics.
        steps: optimiser steps.
        trains_body: whether all weights learn; otherwise the head only.
        body_rate: Adam's learning rate of the body.
        head_rate: Adam's learning rate of the head.
        losses: of the network at a step.
        part: the shares of the body's layers, counted from the input, between which they learn.
        objective: whose own state a checkpoint must hold; None: nothing.
        relative_rates: whether each layer's rate follows its relative gradient norm (Auto-RGN,
            Lee et al. 2023, arXiv 2210.11466).
    """

    name: str
    steps: int
    trains_body: bool
    body_rate: float
    head_rate: float
    losses: StepLosses
    part: tuple[float, float] = (0.0, 1.0)
    relative_rates: bool = False
    objective: Stateful | None = None


def linear_steps(strategy: Strategy, steps: int, share: float) -> int:
    """How many of `steps` are linear probing: all, none, or for LP-FT a share of them."""
    if strategy == "linear":
        return steps
    if strategy != "lp-ft":
        return 0
    return min(steps - 1, max(1, round(steps * share))) if steps > 1 else 0


def rate_factor(step: int, steps: int, schedule: Schedule = "cosine") -> float:
    """Learning rate over its maximum: a short linear warm-up, then a schedule.

    Args:
        step: 0 to steps - 1 within the phase.
        steps: of the phase.
        schedule: half a cosine, a straight line or neither.

    Returns:
        A factor in (0, 1]; the last steps keep 5 %, where it falls.
    """
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    if schedule == "constant":
        return 1.0
    progress = (step - warm_up) / max(1, steps - warm_up)
    if schedule == "linear":
        return 1 - (1 - _FLOOR) * progress
    return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))


def body_layers(network: nn.Module) -> list[list[nn.Parameter]]:
    """The weights of the body, layer by layer from the input."""
    head = {id(parameter) for parameter in head_of(network).parameters()}
    layers = [[p for p in layer if id(p) not in head] for layer in layer_parameters(network)]
    return [layer for layer in layers if layer]


def learning_layers(network: nn.Module, phase: Phase) -> list[list[nn.Parameter]]:
    """The layers of the body that learn in a phase, from the input; none in linear probing."""
    if not phase.trains_body:
        return []
    layers = body_layers(network)
    first, last = (round(share * len(layers)) for share in phase.part)
    return layers[first:last]


def set_mode(network: nn.Module, phase: Phase, freeze_statistics: bool) -> None:
    """Prepares a network for a phase.

    Args:
        network: the network.
        phase: says which weights get gradients.
        freeze_statistics: keep the running statistics of batch-norm layers.
    """
    network.requires_grad_(False)
    for layer in learning_layers(network, phase):
        for parameter in layer:
            parameter.requires_grad_(True)
    head_of(network).requires_grad_(True)
    network.train(phase.trains_body)
    if freeze_statistics:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def make_optimiser(
    network: nn.Module, phase: Phase, weight_decay: float, name: Optimiser = "adam"
) -> torch.optim.Adam:
    """Adam or AdamW over the weights that learn in a phase; group 0 is the head, the others the body.

    With relative rates every layer is a group, otherwise the body is one.
    """
    head = list(head_of(network).parameters())
    groups = [{"params": head, "rate": phase.head_rate}]
    layers = learning_layers(network, phase)
    if not phase.relative_rates:
        layers = [[parameter for layer in layers for parameter in layer]] if layers else []
    groups += [{"params": layer, "rate": phase.body_rate} for layer in layers]
    make = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return make(groups, lr=phase.head_rate, weight_decay=weight_decay)


@torch.no_grad()
def relative_gradient_norms(groups: Sequence[Mapping[str, Any]]) -> list[float]:
    """The norm of each group's gradient over that of its weights, the largest scaled to 1.

    Args:
        groups: of an optimiser, after the backward pass.

    Returns:
        A factor in [0, 1] for every group; all 1 where no gradient flows.
    """
    found = []
    for group in groups:
        gradients = [p.grad for p in group["params"] if p.grad is not None]
        own = torch.nn.utils.get_total_norm(group["params"])
        found.append(float(torch.nn.utils.get_total_norm(gradients) / own.clamp_min(1e-12)))
    largest = max(found)
    return [norm / largest for norm in found] if largest > 0 else [1.0] * len(found)


class LinearProbe:
    """Cross-entropy of the head on the frozen body's features of all training images.

    Args:
        network: in the linear phase (evaluation mode, see `set_mode`) whenever it is asked.
        images: makes them, uint8 N x 3 x H x W; called when the phase begins.
        targets: int64 N, or float32 N x C, shares of the classes.
        weights: float C, of the classes.
    """

    def __init__(
        self,
        network: PixelNetwork,
        images: Callable[[], torch.Tensor],
        targets: torch.Tensor,
        weights: torch.Tensor,
    ) -> None:
        self._network, self._images = network, images
        self._targets = targets.to(network.compute.device)
        self._weights = weights.to(network.compute.device)

    @cached_property
    def features(self) -> torch.Tensor:
        """float32 N x D, computed once (the body does not change in this phase)."""
        return self._network.features(self._images())

    def __call__(self, step: int) -> Losses:
        """The loss; the same at every step but for the head's weights."""
        logits = head_of(self._network.network)(self.features)
        return {LOSS: functional.cross_entropy(logits, self._targets, weight=self._weights)}
