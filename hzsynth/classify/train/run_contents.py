"""What a training of this room leaves in its run: the images it learned from, and its classifier."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hzsynth.classify.models import MODEL, Classifier, is_run
from hzsynth.classify.train.loading import TrainingData
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.lineage import check_learned, in_role, learned_from
from hzsynth.core.processes import Processes
from hzsynth.core.run import RunDir


def inherited_images(pretrained: str, data: TrainingData) -> tuple[TrainingImage, ...]:
    """The images behind pretrained weights, proven to touch no held-out photograph.

    Args:
        pretrained: a run of one's own, or anything else, which has no list of images.
        data: the set that is about to be learned from.

    Returns:
        The run's list.

    Raises:
        RefusedError: the run learned from what touches a validation or test photograph of the set.
    """
    if not is_run(pretrained):
        return ()
    run = RunDir.load(Path(pretrained))
    images = run.training_images()
    check_learned(run.id, images, data.held_out, data.sources)
    return images


def record_images(run: RunDir, data: TrainingData, pretrained: str, processes: Processes) -> None:
    """Lists what is learned from and what stands behind it, before the first step.

    Raises:
        RefusedError: see `inherited_images`.
    """
    inherited = inherited_images(pretrained, data)
    if processes.is_main:
        validation = learned_from([images.select(split="val") for images in data.sources])
        learned = learned_from(data.learned_from, inherited)
        run.record_training((*learned, *in_role(validation, "validated")))


def finish_run(
    run: RunDir, classifier: Classifier, result: Mapping[str, Any], processes: Processes
) -> None:
    """Stores the classifier and the result; all processes go on when that is done."""
    if processes.is_main:
        classifier.save(run.path / MODEL)
        run.finish(result)
    processes.wait()
