"""Fine-tuning of one classifier on the train split, chosen on the validation split.

Strategies: LP-FT (Kumar et al. 2022, arXiv 2202.10054), full fine-tuning and linear probing.
"""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from hzsynth.classify.batches import Batches, class_weights, make_batches
from hzsynth.classify.finetuning import LinearProbe, Phase, Strategy, linear_steps
from hzsynth.classify.fitting import Fitted, Fitting, FittingConfig, refuse_fp16
from hzsynth.classify.loading import TrainingData, load_training_data
from hzsynth.classify.models import (
    MODEL,
    Classifier,
    Triple,
    create_network,
    normalisation,
    normalise,
    to_unit,
)
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir

RUN_KIND = "classify"


class ClassifyConfig(FittingConfig):
    """How one classifier is trained; the defaults serve a few hundred images on a CPU."""

    model: str = Field("efficientnet-lite0", description="a timm model or efficientnet-lite0/1/2")
    pretrained: str = Field(
        "imagenet", description="imagenet (lite models only), none, or a weights file"
    )
    finetune: Strategy = Field("lp-ft", description="lp-ft, full or linear")
    steps: int = Field(200, ge=1, description="optimiser steps of all phases together")


@dataclass(frozen=True)
class ClassifyResult:
    """What a training came to.

    Attributes:
        run: holds ``model.safetensors`` and ``metrics.jsonl``.
        best_step: whose weights were kept.
        steps: that were made.
        training_images: how many images it learned from.
        validation: ``loss``, ``accuracy``, ``macro_f1`` and ``f1_target`` of the kept weights.
        seconds: training time, over all resumptions.
    """

    run: RunDir
    best_step: int
    steps: int
    training_images: int
    validation: dict[str, float]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, as it is stored in the run."""
        return {
            "best_step": self.best_step,
            "steps": self.steps,
            "training_images": self.training_images,
            "validation": self.validation,
            "seconds": round(self.seconds, 2),
        }


def train_classifier(
    images: ImageSet,
    config: ClassifyConfig,
    run: RunDir,
    *,
    compute: Compute = CPU_FP32,
    progress: Progress = SILENT,
) -> ClassifyResult:
    """Fine-tunes a classifier, or goes on where the run's checkpoint left off.

    Args:
        images: a set with a split column; it learns from train, of any origin, and chooses the
            checkpoint on val.
        config: the settings.
        run: of kind ``classify``; everything is written there.
        compute: where, in fp32 or bf16.
        progress: shows the work.

    Returns:
        The result; the same is stored as the run's.

    Raises:
        InputError: the set has no splits or the settings do not fit it; weights are missing.
        RefusedError: a training image touches a validation or test photograph.
        TrainingDivergedError: the loss is no longer a number.
    """
    refuse_fp16(compute)
    data = load_training_data(images, config.size, config.label)
    return train_on(data, config, run, compute=compute, progress=progress)


def train_on(
    data: TrainingData,
    config: ClassifyConfig,
    run: RunDir,
    *,
    compute: Compute,
    progress: Progress,
    description: str = "training the classifier",
) -> ClassifyResult:
    """`train_classifier` for images that are loaded and checked already."""
    network = create_network(
        config.model, classes=len(data.labels), pretrained=config.pretrained, seed=config.seed
    )
    network = network.to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    run.record_training(data.records)
    fitting = Fitting(
        network,
        classifier_phases(network, data, config, compute),
        data,
        config,
        run,
        normalisation=normalisation(config.model),
        freeze_statistics=config.pretrained != "none",
        compute=compute,
    )
    fitted = fitting.to_the_end(progress, description)
    save_fitted(fitted, config.model, data, config, run)
    result = ClassifyResult(
        run=run,
        best_step=fitted.best_step,
        steps=fitted.steps,
        training_images=len(data.train),
        validation=fitted.validation,
        seconds=fitted.seconds,
    )
    run.finish(result.to_json())
    return result


def save_fitted(
    fitted: Fitted, model: str, data: TrainingData, config: FittingConfig, run: RunDir
) -> None:
    """Writes the run's ``model.safetensors``."""
    mean, std = normalisation(model)
    Classifier(model, fitted.network, data.labels, config.label, config.size, mean, std).save(
        run.path / MODEL
    )


class SupervisedLoss:
    """Cross-entropy of the network on the batch of a step.

    Args:
        network: what is trained.
        batches: by step.
        weights: float C, of the classes.
        normalisation: mean and standard deviation of the network's input.
        compute: device and precision.
    """

    def __init__(
        self,
        network: nn.Module,
        batches: Batches,
        weights: torch.Tensor,
        normalisation: tuple[Triple, Triple],
        compute: Compute,
    ) -> None:
        self._network, self._batches, self._compute = network, batches, compute
        self._weights = weights.to(compute.device)
        self._mean, self._std = normalisation

    def __call__(self, step: int) -> torch.Tensor:
        """The loss at a step."""
        batch = self._batches[step]
        with self._compute.autocast():
            inputs = normalise(to_unit(batch.pixels, self._compute), self._mean, self._std)
            logits = self._network(inputs).float()
        targets = batch.targets.to(self._compute.device)
        return functional.cross_entropy(logits, targets, weight=self._weights)


def classifier_phases(
    network: nn.Module, data: TrainingData, config: ClassifyConfig, compute: Compute
) -> list[Phase]:
    """The phases of a fine-tuning strategy for one network."""
    scale = normalisation(config.model)
    weights = class_weights(
        data.train.targets, len(data.labels), config.class_weights == "balanced"
    )
    batches = make_batches(data, config)
    probing = linear_steps(config.finetune, config.steps, config.linear_share)
    probe_weights = class_weights(
        data.train.targets,
        len(data.labels),
        config.balanced_sampler or config.class_weights == "balanced",
    )
    probe = LinearProbe(network, batches.once, data.train.learned, probe_weights, scale, compute)
    supervised = SupervisedLoss(network, batches, weights, scale, compute)
    # After linear probing the head fits the features already and moves with the body.
    head_rate = config.head_learning_rate if probing == 0 else config.learning_rate
    return [
        Phase("linear probing", probing, False, 0.0, config.head_learning_rate, probe),
        Phase(
            "full fine-tuning",
            config.steps - probing,
            True,
            config.learning_rate,
            head_rate,
            supervised,
        ),
    ]
