"""Fine-tuning of one classifier on the train split, chosen on the validation split.

The strategies are those of `classify.train.strategies`, LP-FT by default.
"""

from dataclasses import dataclass
from typing import Any, get_args

import torch
from pydantic import Field
from torch import nn

from hzsynth.classify.models import (
    MODEL,
    Classifier,
    Triple,
    create_network,
    normalisation,
    normalise,
    to_unit,
)
from hzsynth.classify.train.adversarial_noise import AdversarialNoise
from hzsynth.classify.train.batches import BatchSource, class_weights, make_batches, share_of
from hzsynth.classify.train.finetuning import LinearProbe, Phase, Strategy
from hzsynth.classify.train.fitting import Fitted, Fitting, FittingConfig, refuse_fp16
from hzsynth.classify.train.loading import TrainingData, load_training_data
from hzsynth.classify.train.losses import Loss, Mix, Mixing, make_loss
from hzsynth.classify.train.robust_training import Objective, Robust, make_objective
from hzsynth.classify.train.starting import learned_before
from hzsynth.classify.train.strategies import strategy_phases
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir

RUN_KIND = "classify"


class ClassifyConfig(FittingConfig):
    """How one classifier is trained; the defaults serve a few hundred images on a CPU."""

    model: str = Field("efficientnet-lite0", description="a timm model or efficientnet-lite0/1/2")
    pretrained: str = Field(
        "imagenet",
        description="imagenet (lite models; others once fetched), none, a file, or a classifier's run",
    )
    finetune: Strategy = Field(
        "lp-ft", description=f"fine-tuning strategy: {', '.join(get_args(Strategy))}"
    )
    blend: float = Field(
        0.3,
        gt=0,
        le=1,
        description="LP-FT: share of the fine-tuned weights in the result, the rest being linear-probed",
    )
    start_penalty: float = Field(
        0.01, ge=0, description="L1-SP, L2-SP: strength that holds the body near its start"
    )
    head_penalty: float = Field(
        0.001, ge=0, description="L1-SP, L2-SP: strength that holds the head near zero"
    )
    robust: Robust = Field(
        "none",
        description=f"training for robustness while the body learns: {', '.join(get_args(Robust))}",
    )
    loss: Loss = Field("cross-entropy", description=f"of the body: {', '.join(get_args(Loss))}")
    focal_gamma: float = Field(
        2.0, ge=0, description="focal loss: how much it turns away from what is nearly right"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="cross-entropy: share of a target spread over all classes"
    )
    mix: Mix = Field("none", description=f"within a batch: {', '.join(get_args(Mix))}")
    mix_alpha: float = Field(0.4, gt=0, description="of the beta distribution of the shares")
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
    processes: Processes = ALONE,
) -> ClassifyResult:
    """Fine-tunes a classifier, or goes on where the run's checkpoint left off.

    Args:
        images: a set with a split column; it learns from train, of any origin, and chooses the
            checkpoint on val.
        config: the settings.
        run: of kind ``classify``; everything is written there.
        compute: where, in fp32 or bf16.
        progress: shows the work.
        processes: that train together, each with its share of every batch; the main one writes.

    Returns:
        The result; the same is stored as the run's.

    Raises:
        InputError: the set has no splits or the settings do not fit it; weights are missing.
        RefusedError: a training image touches a validation or test photograph.
        TrainingDivergedError: the loss is no longer a number.
    """
    refuse_fp16(compute)
    data = load_training_data(images, config.size, config.label)
    return train_on(data, config, run, compute=compute, progress=progress, processes=processes)


def train_on(
    data: TrainingData,
    config: ClassifyConfig,
    run: RunDir,
    *,
    compute: Compute,
    progress: Progress,
    processes: Processes = ALONE,
    description: str = "training the classifier",
) -> ClassifyResult:
    """`train_classifier` for images that are loaded and checked already."""
    network = create_network(
        config.model, classes=len(data.labels), pretrained=config.pretrained, seed=config.seed
    )
    network = network.to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    before = learned_before(config.pretrained, data)
    if processes.is_main:
        run.record_training((*data.records, *before))
    fitting = Fitting(
        network,
        classifier_phases(network, data, config, compute, processes),
        data,
        config,
        run,
        normalisation=normalisation(config.model),
        freeze_statistics=config.pretrained != "none",
        # Without pretrained weights the probed network knows nothing worth keeping.
        blend=config.blend if config.finetune == "lp-ft" and config.pretrained != "none" else 1.0,
        compute=compute,
        processes=processes,
    )
    fitted = fitting.to_the_end(progress, description)
    result = ClassifyResult(
        run=run,
        best_step=fitted.best_step,
        steps=fitted.steps,
        training_images=len(data.train),
        validation=fitted.validation,
        seconds=fitted.seconds,
    )
    if processes.is_main:
        save_fitted(fitted, config.model, data, config, run)
        run.finish(result.to_json())
    processes.wait()
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
    """The loss of the network on the batch of a step.

    Args:
        network: what is trained.
        batches: by step.
        objective: made from them, such as plain cross-entropy (see `classify.train.robust_training`).
        normalisation: mean and standard deviation of the network's input.
        compute: device and precision.
        mixing: of the images of a batch before that, or None.
    """

    def __init__(
        self,
        network: nn.Module,
        batches: BatchSource,
        objective: Objective,
        normalisation: tuple[Triple, Triple],
        compute: Compute,
        mixing: Mixing | None = None,
    ) -> None:
        self._network, self._batches, self._compute = network, batches, compute
        self._mixing = mixing
        self.objective = objective
        self._mean, self._std = normalisation

    def __call__(self, step: int) -> torch.Tensor:
        """The loss at a step."""
        batch = self._batches[step]
        images = to_unit(batch.pixels, self._compute)
        targets = batch.targets.to(self._compute.device)
        if self._mixing is not None:
            images, targets = self._mixing(images, targets, step)
        return self.objective(self._asked, images, targets, step)

    def _asked(self, images: torch.Tensor) -> torch.Tensor:
        with self._compute.autocast():
            inputs = images.contiguous(memory_format=self._compute.memory_format)
            logits: torch.Tensor = self._network(normalise(inputs, self._mean, self._std))
        return logits.float()


def classifier_phases(
    network: nn.Module,
    data: TrainingData,
    config: ClassifyConfig,
    compute: Compute,
    processes: Processes = ALONE,
) -> list[Phase]:
    """The phases of a fine-tuning strategy for one network."""
    scale = normalisation(config.model)
    weights = class_weights(
        data.train.targets, len(data.labels), config.class_weights == "balanced"
    )
    batches = make_batches(data, config)
    probe_weights = class_weights(
        data.train.targets,
        len(data.labels),
        config.balanced_sampler or config.class_weights == "balanced",
    )
    probe = LinearProbe(network, batches.once, data.train.learned, probe_weights, scale, compute)
    weights = weights.to(compute.device)
    objective = make_objective(
        config.robust,
        make_loss(config.loss, weights, config.focal_gamma, config.label_smoothing),
        seed=config.seed,
        size=config.size,
        device=compute.device,
        processes=processes,
    )
    mixing = None
    if config.mix != "none":
        mixing = Mixing(config.mix, config.mix_alpha, len(data.labels), processes.seed(config.seed))
    share = share_of(batches, config.batch, processes)
    supervised = SupervisedLoss(network, share, objective, scale, compute, mixing)
    return strategy_phases(
        config.finetune,
        network,
        steps=config.steps,
        linear_share=config.linear_share,
        rates=(config.learning_rate, config.head_learning_rate),
        penalty=(config.start_penalty, config.head_penalty),
        probe=probe,
        supervised=supervised,
        state=objective if isinstance(objective, AdversarialNoise) else None,
    )
