"""Continual learning: a trained classifier goes on with a new set without forgetting the old one.

Protection by replay (each batch is half old, half new; Rolnick et al. 2019, arXiv 1811.11682), by an L2
penalty on the distance from the old weights (L2-SP; Li et al. 2018, arXiv 1802.01483), or the same
penalty weighted by how much each weight matters to the old set (elastic weight consolidation, EWC;
Kirkpatrick et al. 2017, arXiv 1612.00796). What it does to the old set is measured before and after.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hzsynth.classify.models import Classifier, load_classifier, placed
from hzsynth.classify.train.config import ContinueConfig
from hzsynth.classify.train.finetuning import Phase
from hzsynth.classify.train.fitting import Fitting, refuse_fp16
from hzsynth.classify.train.loading import TrainingData, load_training_data
from hzsynth.classify.train.new_classes import grown, joined, relabelled
from hzsynth.classify.train.protection import NEEDS_OLD, protected_losses
from hzsynth.classify.train.run_contents import finish_run, record_images
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_lineage
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir

Measure = Callable[[Classifier, ImageSet], Mapping[str, Any] | None]
"""Figures of a classifier on a set's test photographs; None where it does not know their classes."""


@dataclass(frozen=True)
class ContinuedResult:
    """The classifier after going on, measured on both sets before and after.

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
    measure: Measure,
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
        measure: looks at the test photographs of both sets, before and after.
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
        raise InputError(f"`protect` {config.protect} needs `old`: the set learned from before")
    before = load_classifier(started)
    config = config.model_copy(update={"label": before.label, "size": before.size})
    sets = {"new": new} if old is None else {"old": old, "new": new}
    parts, data = _load(sets, before, config)
    after = replace(before, network=grown(before, data.labels), labels=data.labels)
    network = after.pixel_network(compute)
    placed(network.network, compute)
    record_images(run, data, str(started.path), processes)
    losses = protected_losses(network, parts, config, processes)
    rate = config.learning_rate
    fitted = Fitting(
        network,
        [Phase("going on", config.steps, True, rate, rate, losses)],
        data,
        config,
        run,
        freeze_statistics=True,
        processes=processes,
    ).to_the_end(progress, "going on with the new set")
    after = replace(after, network=fitted.network)
    measured = [_measured(classifier, sets, measure) for classifier in (before, after)]
    result = ContinuedResult(run, data.labels, fitted.steps, *measured)
    finish_run(run, after, result.to_json(), processes)
    return result


def _load(
    sets: Mapping[str, ImageSet], before: Classifier, config: ContinueConfig
) -> tuple[dict[str, TrainingData], TrainingData]:
    """Each set by itself and both together, with the classes of all; lineage is checked across them."""
    check_lineage(
        [images.training_part() for images in sets.values()],
        [images.held_out_part() for images in sets.values()],
    )
    known = (before.labels, *(images.labels for images in sets.values()))
    labels = tuple(sorted({label for each in known for label in each}))
    parts = {
        name: relabelled(load_training_data(images, config.size, config.label), labels)
        for name, images in sets.items()
    }
    return parts, joined(parts)


def _measured(
    classifier: Classifier, sets: Mapping[str, ImageSet], measure: Measure
) -> dict[str, dict[str, Any]]:
    found = {name: measure(classifier, images) for name, images in sets.items()}
    return {name: dict(figures) for name, figures in found.items() if figures is not None}
