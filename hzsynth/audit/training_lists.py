"""Whether the photographs that generators learned from fit the sets that an audit is given."""

from collections.abc import Mapping, Sequence

from hzsynth.core.errors import RefusedError
from hzsynth.core.image_record import ImageRecord, TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.phash import NEAR_DUPLICATE, nearest_hash


def check_training_lists(
    lists: Mapping[str, tuple[TrainingImage, ...]],
    photographs: ImageSet,
    held_out: Sequence[ImageRecord],
    complete: Sequence[str],
) -> tuple[str, ...]:
    """Compares what generators learned from with the sets that an audit is given.

    Args:
        lists: run id -> the photographs that it learned from.
        photographs: everything that counts as seen, of all classes.
        held_out: the photographs that no run must have seen.
        complete: ids of runs whose photographs must all be in `photographs`.

    Returns:
        Remarks: runs that learned from other photographs, too, and need not be complete.

    Raises:
        RefusedError: a held-out photograph, a near-duplicate of it or its patient was in a run's
            training, or a photograph of a complete run's training is not among them.
    """
    known = {record.sha256 for record in photographs}
    remarks = []
    for run, images in lists.items():
        _refuse_seen(run, images, held_out)
        outside = sum(image.sha256 not in known for image in images)
        if not outside:
            continue
        found = f"the run {run} learned from {outside} of {len(images)} photographs outside `train`"
        if run in complete:
            raise RefusedError(
                f"{found}: copies of them would not be noticed; give the set that it was trained on"
            )
        remarks.append(f"{found}: copies of them are not looked for")
    return tuple(remarks)


def _refuse_seen(
    run: str, images: Sequence[TrainingImage], held_out: Sequence[ImageRecord]
) -> None:
    files = {image.sha256 for image in images}
    patients = {image.group for image in images if image.group}
    distances, _ = nearest_hash(
        [record.phash for record in held_out], [image.phash for image in images]
    )
    for record, distance in zip(held_out, distances, strict=True):
        if record.sha256 in files:
            how = "was in"
        elif record.group and record.group in patients:
            how = "shows a patient of"
        elif distance <= NEAR_DUPLICATE:
            how = "is a near-duplicate of a photograph in"
        else:
            continue
        raise RefusedError(
            f"'{record.file_name}' of `held_out` {how} the training of {run}: it is no new photograph"
        )
