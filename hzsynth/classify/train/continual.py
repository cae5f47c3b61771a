"""Continual learning: a trained classifier goes on with a new set without forgetting the old one.

Protection by replay (each batch is half old, half new; Rolnick et al. 2019, arXiv 1811.11682), by an L2
penalty on the distance from the old weights (L2-SP; Li et al. 2018, arXiv 1802.01483), or the same
penalty weighted by how much each weight matters to the old set (elastic weight consolidation, EWC;
Kirkpatrick et al. 2017, arXiv 1612.00796). What it does to the old set is measured before and after.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from hzsynth.classify.answers import answers_of
from hzsynth.classify.models import (
    MODEL,
    Classifier,
    create_network,
    head_of,
    load_classifier,
    normalise,
    to_unit,
)
from hzsynth.classify.train.batches import Batch, Batches, share_of
from hzsynth.classify.train.classifier import SupervisedLoss
from hzsynth.classify.train.finetuning import Phase, PhaseLoss
from hzsynth.classify.train.fitting import Fitting, FittingConfig, refuse_fp16
from hzsynth.classify.train.loading import LabelledImages, TrainingData, load_training_data
from hzsynth.classify.train.robust_training import Plain
from hzsynth.classify.train.starting import learned_before
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_lineage
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.statistics.metric_intervals import metrics_with_intervals

Protection = Literal["replay", "l2-sp", "ewc", "none"]
NEEDS_OLD = ("replay", "ewc")

_FISHER_BATCH = 16


class ContinueConfig(FittingConfig):
    """How a classifier goes on; label, size and model are those of the classifier."""

    steps: int = Field(100, ge=1, description="optimiser steps")
    protect: Protection = Field(
        "replay", description="against forgetting: replay, l2-sp, ewc or none"
    )
    strength: float = Field(1.0, ge=0, description="of the penalty of l2-sp and ewc")


@dataclass(frozen=True)
class ContinuedResult:
    """What going on came to.

    Attributes:
        run: holds the new classifier.
        labels: its classes, those of both sets.
        steps: that were made.
        before: set ("old", "new") -> metric -> value with interval, of the classifier it began
            with; a set with classes that it did not know is left out.
        after: the same of the new classifier.
    """

    run: RunDir
    labels: tuple[str, ...]
    steps: int
    before: dict[str, dict[str, Any]]
    after: dict[str, dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, as it is stored in the run."""
        return {
            "labels": list(self.labels),
            "steps": self.steps,
            "before": self.before,
            "after": self.after,
        }


def continue_training(
    started: RunDir,
    new: ImageSet,
    old: ImageSet | None,
    config: ContinueConfig,
    run: RunDir,
    *,
    compute: Compute = CPU_FP32,
    progress: Progress = SILENT,
    processes: Processes = ALONE,
) -> ContinuedResult:
    """Goes on with a new set, or resumes where the run's checkpoint left off.

    Args:
        started: the finished run of the classifier to begin with.
        new: the new set, with splits; it may have further classes.
        old: the set that the classifier was trained on; needed by replay and EWC, and to say
            what was forgotten.
        config: the settings.
        run: of kind ``classify``.
        compute: where, in fp32 or bf16.
        progress: shows the work.
        processes: that train together, each with its share of every batch; the main one writes.

    Returns:
        The result; the same is stored as the run's.

    Raises:
        InputError: the old set is missing where it is needed, or a set has no splits.
        RefusedError: a photograph of one set's training lies in a val or test split of the other.
    """
    refuse_fp16(compute)
    if old is None and config.protect in NEEDS_OLD:
        raise InputError(f"--protect {config.protect} needs --old: the set learned from before")
    classifier = load_classifier(started)
    config = config.model_copy(update={"label": classifier.label, "size": classifier.size})
    sets = {"old": old, "new": new}
    held_out = [
        r for images in sets.values() if images is not None for r in images if r.split != "train"
    ]
    trained = [
        r for images in sets.values() if images is not None for r in images if r.split == "train"
    ]
    lineage = {
        k: v for images in sets.values() if images is not None for k, v in images.lineage.items()
    }
    check_lineage(trained, held_out, lineage)
    labels = tuple(
        sorted({*classifier.labels, *new.labels, *(old.labels if old is not None else ())})
    )
    parts = {
        name: _relabelled(load_training_data(images, config.size, config.label), labels)
        for name, images in sets.items()
        if images is not None
    }
    data = _joined(parts)
    data = replace(data, held_out=tuple(held_out))
    network = _grown(classifier, labels).to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    before = learned_before(str(started.path), data)
    if processes.is_main:
        run.record_training((*data.records, *before))
    loss = _loss(network, classifier, parts, config, compute, processes)
    phase = Phase("going on", config.steps, True, config.learning_rate, config.learning_rate, loss)
    fitted = Fitting(
        network,
        [phase],
        data,
        config,
        run,
        normalisation=(classifier.mean, classifier.std),
        freeze_statistics=True,
        compute=compute,
        processes=processes,
    ).to_the_end(progress, "going on with the new set")
    after = replace(classifier, network=fitted.network, labels=labels)
    result = ContinuedResult(
        run=run,
        labels=labels,
        steps=fitted.steps,
        before=_measured(classifier, sets, compute, config.seed),
        after=_measured(after, sets, compute, config.seed),
    )
    if processes.is_main:
        after.save(run.path / MODEL)
        run.finish(result.to_json())
    processes.wait()
    return result


def _relabelled(data: TrainingData, labels: Sequence[str]) -> TrainingData:
    """The same images with the places of their classes among more classes."""
    places = torch.tensor([labels.index(label) for label in data.labels])

    def moved(images: LabelledImages) -> LabelledImages:
        soft = None
        if images.soft is not None:
            soft = torch.zeros(len(images), len(labels))
            soft[:, places] = images.soft
        return LabelledImages(images.pixels, places[images.targets], soft)

    return replace(
        data,
        labels=tuple(labels),
        target=labels.index(data.labels[data.target]),
        train=moved(data.train),
        validation=moved(data.validation),
    )


def _joined(parts: dict[str, TrainingData]) -> TrainingData:
    """Both sets' photographs choose the checkpoint; the records are those of both."""
    validation = LabelledImages(
        torch.cat([part.validation.pixels for part in parts.values()]),
        torch.cat([part.validation.targets for part in parts.values()]),
    )
    records = tuple(record for part in parts.values() for record in part.records)
    return replace(parts["new"], validation=validation, records=records)


def _grown(classifier: Classifier, labels: Sequence[str]) -> nn.Module:
    """The network with a row of the head for every class; new ones start from zero."""
    network = create_network(
        classifier.model, classes=len(labels), pretrained="none", seed=0, purpose="continued"
    )
    state = classifier.network.state_dict()
    own = {id(p) for p in head_of(classifier.network).parameters()}
    names = {n for n, p in classifier.network.named_parameters() if id(p) in own}
    network.load_state_dict({k: v for k, v in state.items() if k not in names}, strict=False)
    rows = torch.tensor([labels.index(label) for label in classifier.labels])
    before, now = head_of(classifier.network), head_of(network)
    with torch.no_grad():
        now.weight[rows] = before.weight
        now.bias[rows] = before.bias
    return network


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
            torch.cat([one.varied, two.varied]),
            torch.cat([one.pixels, two.pixels]),
            torch.cat(targets),
        )


class Anchored:
    """A loss with a penalty ``strength / 2 x sum F (w - w_0)^2``.

    Args:
        loss: of a step.
        network: at the weights w_0.
        importance: F of every weight; None: 1 (L2-SP).
        strength: of the penalty.
    """

    def __init__(
        self,
        loss: PhaseLoss,
        network: nn.Module,
        importance: Sequence[torch.Tensor] | None,
        strength: float,
    ) -> None:
        self._loss, self._strength = loss, strength
        self._weights = list(network.parameters())
        self._start = [weight.detach().clone() for weight in self._weights]
        self._importance = importance

    def __call__(self, step: int) -> torch.Tensor:
        """The loss at a step, penalty included."""
        terms = []
        for number, (weight, start) in enumerate(zip(self._weights, self._start, strict=True)):
            square = (weight - start).square()
            if self._importance is not None:
                square = square * self._importance[number]
            terms.append(square.sum())
        return self._loss(step) + 0.5 * self._strength * torch.stack(terms).sum()


def fisher_information(
    network: nn.Module, data: LabelledImages, classifier: Classifier, compute: Compute
) -> list[torch.Tensor]:
    """The diagonal of the empirical Fisher information, scaled to a mean of 1.

    Squared gradients of batches of 16 (the mean of squares of single images would need a pass for
    each), in evaluation mode.

    Args:
        network: on the device.
        data: the old set's training images.
        classifier: whose normalisation is used.
        compute: device and precision.

    Returns:
        One tensor for each of the network's parameters.
    """
    network.eval().requires_grad_(True)
    weights = list(network.parameters())
    total = [torch.zeros_like(weight) for weight in weights]
    for pixels, targets in zip(
        data.pixels.split(_FISHER_BATCH), data.targets.split(_FISHER_BATCH), strict=True
    ):
        inputs = normalise(to_unit(pixels, compute), classifier.mean, classifier.std)
        loss = functional.cross_entropy(network(inputs), targets.to(compute.device))
        for kept, gradient in zip(total, torch.autograd.grad(loss, weights), strict=True):
            kept += gradient.square() * len(pixels)
    mean = sum(float(kept.sum()) for kept in total) / sum(kept.numel() for kept in total)
    return [kept / max(mean, 1e-20) for kept in total]


def _loss(
    network: nn.Module,
    classifier: Classifier,
    parts: dict[str, TrainingData],
    config: ContinueConfig,
    compute: Compute,
    processes: Processes,
) -> PhaseLoss:
    def batches(name: str, size: int) -> Batches:
        return Batches(
            parts[name].train,
            size,
            config.seed,
            balanced=config.balanced_sampler,
            flip=config.augment != "none",
        )

    drawn: Batches | HalfOld = batches("new", config.batch)
    if config.protect == "replay":
        half = max(1, config.batch // 2)
        drawn = HalfOld(
            batches("old", half), batches("new", config.batch - half), len(parts["old"].train)
        )
    scale = (classifier.mean, classifier.std)
    loss: PhaseLoss = SupervisedLoss(
        network,
        share_of(drawn, config.batch, processes),
        Plain(functional.cross_entropy),
        scale,
        compute,
    )
    if config.protect in ("l2-sp", "ewc"):
        importance = None
        if config.protect == "ewc":
            importance = fisher_information(network, parts["old"].train, classifier, compute)
        loss = Anchored(loss, network, importance, config.strength)
    return loss


def _measured(
    classifier: Classifier, sets: dict[str, ImageSet | None], compute: Compute, seed: int
) -> dict[str, dict[str, Any]]:
    """The test photographs of both sets, where the classifier knows all their classes."""
    found: dict[str, dict[str, Any]] = {}
    for name, images in sets.items():
        if images is None:
            continue
        test = images.replace_records(r for r in images.select("test") if r.is_real)
        known = set(test.labels) <= set(classifier.labels)
        if not known or len(test.labels) < 2 or classifier.label not in test.labels:
            continue
        metrics = metrics_with_intervals(answers_of(classifier, test, compute), seed=seed)
        found[name] = {key: vars(value) for key, value in metrics.items()}
    return found
