"""Who was learned from and who was not: members and held-out photographs of an audit.

Members are the photographs on the lists that the generated images bring along, not whatever lies in the
same set: photographs of other classes, or those that only watched a training, are no members. Held-out
photographs are of the generated classes, since strangers of another disease are far away for
reasons that have nothing to do with copying.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_as_far_as_known, check_learned

_HELD_OUT = ("val", "test")

TrainingLists = Mapping[str, tuple[TrainingImage, ...]]
"""Run id -> the photographs that it, or a run whose weights it began with, learned from."""


@dataclass(frozen=True)
class Division:
    """The two sides of an audit.

    Attributes:
        members: photographs that the generators learned from, of all classes.
        held_out: photographs of the generated classes that no generator saw.
        remarks: what cannot be known from the lists: it makes a verdict unsure.
    """

    members: ImageSet
    held_out: ImageSet
    remarks: tuple[str, ...]


def divide_photographs(
    fake: ImageSet,
    photographs: ImageSet,
    lists: TrainingLists,
    *,
    held_out: ImageSet | None = None,
    complete: Sequence[str] = (),
) -> Division:
    """Divides photographs by what the generated images' lists say.

    Args:
        fake: the generated images.
        photographs: the set that their generator was trained on, or its train split and more.
        lists: of the runs behind `fake`.
        held_out: photographs that no generator saw; by default val and test of `photographs`.
        complete: ids of runs whose photographs must all be at hand.

    Returns:
        Members and held-out photographs.

    Raises:
        InputError: there is no held-out photograph of a generated class.
        RefusedError: a held-out photograph, a near-duplicate of it or its patient was learned from, or
            the photographs that were learned from are not at hand.
    """
    unseen = _held_out(fake, photographs, held_out)
    learned = {
        i.sha256
        for images in lists.values()
        for i in images
        if i.role not in ("watched", "validated")
    }
    runs = {record.run for record in fake if record.run}
    for run, images in lists.items():
        check_learned(run, images, [unseen], [photographs])
    fake = ImageSet(fake.root, fake.records, lists, fake.copy_evidence, fake.ancestors)
    lost = check_as_far_as_known([fake], [unseen])
    remarks = list(_missing(fake, photographs, runs, complete))
    unlisted = sorted(runs - set(lists))
    if unlisted or not runs:
        named = f"the run {', '.join(unlisted)}" if unlisted else "their generator"
        remarks.append(
            f"no list says what {named} learned from: the training photographs of "
            f"{', '.join(fake.labels)} are taken for it"
        )
        taken = photographs.training_part()
        learned |= {r.sha256 for r in taken if r.label in fake.labels}
    elif lost:
        remarks.append(lost[0])
    members = photographs.replace_records(r for r in photographs if r.sha256 in learned)
    return Division(members, unseen, tuple(remarks))


def _held_out(fake: ImageSet, photographs: ImageSet, held_out: ImageSet | None) -> ImageSet:
    """The held-out photographs of the generated classes."""
    unseen = photographs if held_out is None else held_out
    if held_out is None or (held_out.has_splits and held_out.digest == photographs.digest):
        unseen = unseen.replace_records(r for r in unseen if r.split in _HELD_OUT)
    missing = [label for label in fake.labels if label not in unseen.labels]
    if missing:
        there = ", ".join(unseen.labels) or "no photograph at all"
        raise InputError(
            f"`held_out` needs photographs of every generated class, and holds none of "
            f"{', '.join(missing)}: it has {there}"
        )
    return unseen.replace_records(r for r in unseen if r.label in fake.labels)


def _missing(
    fake: ImageSet, photographs: ImageSet, runs: set[str], complete: Sequence[str]
) -> tuple[str, ...]:
    """Refuses lists whose photographs are not at hand; gives remarks where some are missing."""
    known = {record.sha256 for record in photographs}
    known |= {row.sha256 for row in fake.ancestors if not row.is_real}
    remarks = []
    for run, images in fake.lineage.items():
        # What stands behind them is no picture that the run has seen.
        images = tuple(image for image in images if image.role in ("learned", "inherited"))
        outside = sum(image.sha256 not in known for image in images)
        if not outside:
            continue
        found = f"the run {run} learned from {outside} of {len(images)} photographs outside `train`"
        if run in complete or (run in runs and outside == len(images)):
            raise RefusedError(
                f"{found}: copies of them would not be noticed; give the set that it was trained on"
            )
        remarks.append(f"{found}: copies of them are not looked for")
    return tuple(remarks)
