"""Protection against forgetting: replay of the old set, or a penalty on leaving the old weights."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from hzsynth.classify.models import PixelNetwork, to_unit
from hzsynth.classify.train.batches import Batch, Batches, BatchSource, make_batches, share_of
from hzsynth.classify.train.classifier import SupervisedLosses
from hzsynth.classify.train.config import ContinueConfig
from hzsynth.classify.train.loading import LabelledImages, TrainingData
from hzsynth.classify.train.objective import Losses, StepLosses, with_penalty
from hzsynth.classify.train.robust_training import Plain
from hzsynth.core.processes import Processes

NEEDS_OLD = ("replay", "ewc")

_FISHER_BATCH = 16


class HalfOld:
    """Batches of which one half is old and the other new.

    Args:
        old: batches of the old set, half as large.
        new: batches of the new set.
        count: training images of the old set, after which the new ones are numbered.
    """

    def __init__(self, old: Batches, new: Batches, count: int) -> None:
        self._old, self._new, self._count = old, new, count

    def __getitem__(self, step: int) -> Batch:
        one, two = self._old[step], self._new[step]
        targets = [one.targets, two.targets]
        if one.targets.dim() != two.targets.dim():
            classes = max(each.shape[1] for each in targets if each.dim() == 2)
            targets = [
                each if each.dim() == 2 else functional.one_hot(each, classes).float()
                for each in targets
            ]
        return Batch(
            torch.cat([one.indices, two.indices + self._count]),
            torch.cat([one.flipped, two.flipped]),
            one.varied or two.varied,
            torch.cat([one.pixels, two.pixels]),
            torch.cat(targets),
        )


class Anchored:
    """Losses with a penalty ``strength / 2 x sum F (w - w_0)^2``.

    Args:
        losses: of a step.
        network: at the weights w_0.
        importance: F of every weight; None: 1 (L2-SP).
        strength: of the penalty.
    """

    def __init__(
        self,
        losses: StepLosses,
        network: nn.Module,
        importance: Sequence[torch.Tensor] | None,
        strength: float,
    ) -> None:
        self._losses, self._strength = losses, strength
        self._weights = list(network.parameters())
        self._start = [weight.detach().clone() for weight in self._weights]
        self._importance = importance

    def __call__(self, step: int) -> Losses:
        """The losses at a step, penalty included."""
        terms = []
        for number, (weight, start) in enumerate(zip(self._weights, self._start, strict=True)):
            square = (weight - start).square()
            if self._importance is not None:
                square = square * self._importance[number]
            terms.append(square.sum())
        return with_penalty(self._losses(step), 0.5 * self._strength * torch.stack(terms).sum())


def fisher_information(network: PixelNetwork, data: LabelledImages) -> list[torch.Tensor]:
    """The diagonal of the empirical Fisher information, scaled to a mean of 1.

    Squared gradients of batches of 16 (the mean of squares of single images would need a pass for
    each), in evaluation mode.

    Args:
        network: on the device.
        data: the old set's training images.

    Returns:
        One tensor for each of the network's parameters.
    """
    network.network.eval().requires_grad_(True)
    weights = list(network.network.parameters())
    total = [torch.zeros_like(weight) for weight in weights]
    for pixels, targets in zip(
        data.pixels.split(_FISHER_BATCH), data.targets.split(_FISHER_BATCH), strict=True
    ):
        logits = network(to_unit(pixels, network.compute))
        loss = functional.cross_entropy(logits, targets.to(logits.device))
        for kept, gradient in zip(total, torch.autograd.grad(loss, weights), strict=True):
            kept += gradient.square() * len(pixels)
    mean = sum(float(kept.sum()) for kept in total) / sum(kept.numel() for kept in total)
    return [kept / max(mean, 1e-20) for kept in total]


def protected_losses(
    network: PixelNetwork,
    parts: Mapping[str, TrainingData],
    config: ContinueConfig,
    processes: Processes,
) -> StepLosses:
    """Cross-entropy of the new set under the protection that the settings name.

    Args:
        network: at the old weights, with a row of the head for every class.
        parts: the new set as ``new``, and the old one, where it is needed, as ``old``.
        config: the settings.
        processes: that train together.
    """

    def batches(name: str, size: int) -> Batches:
        return make_batches(parts[name], config.model_copy(update={"batch": size}))

    drawn: BatchSource = batches("new", config.batch)
    if config.protect == "replay":
        half = max(1, config.batch // 2)
        drawn = HalfOld(
            batches("old", half), batches("new", config.batch - half), len(parts["old"].train)
        )
    share = share_of(drawn, config.batch, processes)
    losses: StepLosses = SupervisedLosses(network, share, Plain(functional.cross_entropy))
    if config.protect not in ("l2-sp", "ewc"):
        return losses
    importance = None
    if config.protect == "ewc":
        importance = fisher_information(network, parts["old"].train)
    return Anchored(losses, network.network, importance, config.strength)
