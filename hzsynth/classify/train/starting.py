"""Starting from a classifier of one's own: what it has learned from counts as learned from."""

from pathlib import Path

from hzsynth.classify.models import is_run
from hzsynth.classify.train.loading import TrainingData
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.lineage import check_lineage
from hzsynth.core.run import RunDir


def learned_before(pretrained: str, data: TrainingData) -> tuple[ImageRecord, ...]:
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
