"""What a training of this room leaves in its run: the images it learned from, and its classifier."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hzsynth.classify.models import MODEL, Classifier, is_run
from hzsynth.classify.train.loading import TrainingData
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.lineage import check_lineage
from hzsynth.core.processes import Processes
from hzsynth.core.run import RunDir


def inherited_images(pretrained: str, data: TrainingData) -> tuple[ImageRecord, ...]:
    """The images behind pretrained weights, proven to touch no held-out photograph.

    Args:
        pretrained: a run of one's own, or anything else, which has no list of images.
        data: the set that is about to be learned from.

    Returns:
        Rows that name the images by digest, perceptual hash and group.

    Raises:
        RefusedError: the run learned from a validation or test photograph of the set, from its
            near-duplicate, or from another photograph of its patient.
    """
    if not is_run(pretrained):
        return ()
    run = RunDir.load(Path(pretrained))
    images = tuple(
        ImageRecord(
            f"image {number} of {run.id}", "", sha256=i.sha256, phash=i.phash, group=i.group
        )
        for number, i in enumerate(run.training_images(), start=1)
    )
    check_lineage(images, data.held_out, {})
    return images


def record_images(run: RunDir, data: TrainingData, pretrained: str, processes: Processes) -> None:
    """Lists what is learned from, that of pretrained weights included, before the first step.

    Raises:
        RefusedError: see `inherited_images`.
    """
    inherited = inherited_images(pretrained, data)
    if processes.is_main:
        run.record_training((*data.records, *inherited))


def finish_run(
    run: RunDir, classifier: Classifier, result: Mapping[str, Any], processes: Processes
) -> None:
    """Stores the classifier and the result; all processes go on when that is done."""
    if processes.is_main:
        classifier.save(run.path / MODEL)
        run.finish(result)
    processes.wait()
