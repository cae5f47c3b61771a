"""Fine-tuning of one classifier on the train split, chosen on the validation split.

The strategies are those of `classify.train.strategies`, LP-FT by default.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from hzsynth.classify.models import (
    Classifier,
    PixelNetwork,
    create_network,
    normalisation,
    placed,
    to_unit,
)
from hzsynth.classify.train.batches import (
    Batches,
    BatchSource,
    class_weights,
    make_batches,
    share_of,
)
from hzsynth.classify.train.config import ClassifyConfig, FittingConfig
from hzsynth.classify.train.finetuning import LinearProbe, Phase
from hzsynth.classify.train.fitting import Fitting, refuse_fp16
from hzsynth.classify.train.loading import TrainingData, load_training_data
from hzsynth.classify.train.losses import Mixing, make_loss
from hzsynth.classify.train.objective import Losses, Objective
from hzsynth.classify.train.robust_training import make_objective
from hzsynth.classify.train.run_contents import finish_run, record_images
from hzsynth.classify.train.selection import BLENDS, Choice
from hzsynth.classify.train.strategies import strategy_phases
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir


@dataclass(frozen=True)
class ClassifyResult:
    """What a training came to.

    Attributes:
        run: holds ``model.safetensors`` and ``metrics.jsonl``.
        best_step: whose weights were kept.
        steps: that were made.
        training_images: how many images it learned from.
        validation: ``loss``, ``accuracy``, ``macro_f1`` and ``f1_target`` of the kept weights.
        blend: share of the fine-tuned weights in them, the rest being linear-probed.
        seconds: training time, over all resumptions.
    """

    run: RunDir
    best_step: int
    steps: int
    training_images: int
    validation: dict[str, float]
    blend: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, as it is stored in the run."""
        return {
            "best_step": self.best_step,
            "steps": self.steps,
            "training_images": self.training_images,
            "validation": self.validation,
            "blend": self.blend,
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
    asked = PixelNetwork(placed(network, compute), normalisation(config.model), compute)
    record_images(run, data, config.pretrained, processes)
    # Without pretrained weights the probed network knows nothing worth keeping.
    blended = config.finetune == "lp-ft" and config.pretrained != "none"
    fitted = Fitting(
        asked,
        classifier_phases(asked, data, config, processes),
        data,
        config,
        run,
        freeze_statistics=config.pretrained != "none",
        choice=Choice(blends=_blends(config) if blended else ()),
        processes=processes,
    ).to_the_end(progress, description)
    result = ClassifyResult(
        run=run,
        best_step=fitted.best_step,
        steps=fitted.steps,
        training_images=len(data.train),
        validation=fitted.validation,
        blend=fitted.blend,
        seconds=fitted.seconds,
    )
    classifier = new_classifier(config.model, fitted.network, data, config)
    finish_run(run, classifier, result.to_json(), processes)
    return result


def _blends(config: ClassifyConfig) -> tuple[float, ...]:
    if config.blend is None:
        return BLENDS
    return () if config.blend == 1 else (config.blend,)


def new_classifier(
    model: str, network: nn.Module, data: TrainingData, config: FittingConfig
) -> Classifier:
    """A trained network as the classifier of a set's classes."""
    mean, std = normalisation(model)
    return Classifier(model, network, data.labels, config.label, config.size, mean, std)


class SupervisedLosses:
    """The losses of the network on the batch of a step.

    Args:
        network: what is trained.
        batches: by step.
        objective: made from them, such as plain cross-entropy (see `classify.train.robust_training`).
        mixing: of the images of a batch before that, or None.
    """

    def __init__(
        self,
        network: PixelNetwork,
        batches: BatchSource,
        objective: Objective,
        mixing: Mixing | None = None,
    ) -> None:
        self._network, self._batches = network, batches
        self._objective, self._mixing = objective, mixing

    def __call__(self, step: int) -> Losses:
        """The losses at a step."""
        batch = self._batches[step]
        images = to_unit(batch.pixels, self._network.compute)
        targets = batch.targets.to(images.device)
        if self._mixing is not None:
            images, targets = self._mixing(images, targets, step)
        return self._objective(self._network, images, targets, step)


def classifier_phases(
    network: PixelNetwork,
    data: TrainingData,
    config: ClassifyConfig,
    processes: Processes = ALONE,
) -> list[Phase]:
    """The phases of a fine-tuning strategy for one network."""
    batches = make_batches(data, config)
    device = network.compute.device
    balanced = config.class_weights == "balanced"
    weights = class_weights(data.train.targets_shown, len(data.labels), balanced).to(device)
    objective = make_objective(
        config.robust,
        make_loss(config.loss, weights, config.focal_gamma, config.label_smoothing),
        seed=config.seed,
        size=config.size,
        device=device,
        processes=processes,
    )
    mixing = None
    if config.mix != "none":
        mixing = Mixing(config.mix, config.mix_alpha, len(data.labels), processes.seed(config.seed))
    share = share_of(batches, config.batch, processes)
    return strategy_phases(
        config,
        network.network,
        probe=make_probe(network, batches, data, config),
        supervised=SupervisedLosses(network, share, objective, mixing),
        objective=objective,
    )


def make_probe(
    network: PixelNetwork, batches: Batches, data: TrainingData, config: FittingConfig
) -> LinearProbe:
    """Linear probing of all views, varied as in the batches.

    It sees every view at every step, so a balanced sampler becomes balanced weights.
    """
    balanced = config.balanced_sampler or config.class_weights == "balanced"
    weights = class_weights(data.train.targets_shown, len(data.labels), balanced)
    learned = data.train.learned[data.train.shown]
    return LinearProbe(network, batches.once, learned, weights)
