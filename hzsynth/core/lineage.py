"""Proof that no training image descends from a validation or test image.

An image descends from its parents, and through the run that made it from every image that
the generator learned from, and so on upwards. It touches a held-out photograph when one
of these is the same file (sha256), a near-duplicate of it in any of the eight flips and
turns (perceptual hash), or another photograph of the same patient (group).
"""

from collections.abc import Iterable, Mapping

from hzsynth.core.errors import RefusedError
from hzsynth.core.image_record import ImageRecord, TrainingImage
from hzsynth.core.phash import NEAR_DUPLICATE, nearest_hash

_SHOWN = 3


def _ancestors(
    record: ImageRecord,
    known: Mapping[str, ImageRecord],
    lineage: Mapping[str, tuple[TrainingImage, ...]],
) -> tuple[set[TrainingImage], set[str]]:
    """All images behind `record`, itself included, and the runs whose lists are not at hand."""
    found: set[TrainingImage] = set()
    unproven: set[str] = set()
    waiting, seen, runs = [record], set(), set()
    while waiting:
        current = waiting.pop()
        found.add(TrainingImage(current.sha256, current.phash, current.group))
        if current.run and current.run not in runs:
            runs.add(current.run)
            if current.run in lineage:
                found.update(lineage[current.run])
            else:
                unproven.add(current.run)
        for parent in current.parents:
            if parent in seen:
                continue
            seen.add(parent)
            if parent in known:
                waiting.append(known[parent])
            else:
                found.add(TrainingImage(parent, "", ""))
    return found, unproven


def _names(records: Iterable[ImageRecord]) -> str:
    names = [record.file_name for record in records]
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + rest


def check_lineage(
    train: Iterable[ImageRecord],
    held_out: Iterable[ImageRecord],
    lineage: Mapping[str, tuple[TrainingImage, ...]],
) -> None:
    """Refuses a training set that touches held-out photographs.

    Args:
        train: the images to train on, of any origin.
        held_out: the validation and test images.
        lineage: for every generator's run, the images that it learned from.

    Raises:
        RefusedError: an image to train on is, or descends from, a held-out photograph, its
            near-duplicate or another photograph of the same patient; a held-out image is
            not a photograph; or it is unknown what a generator learned from.
    """
    train, held_out = list(train), list(held_out)
    made = [record for record in held_out if not record.is_real]
    if made:
        raise RefusedError(
            f"evaluation is on real photographs only, but the held-out images {_names(made)} "
            "are synthetic or augmented"
        )
    foreign = [r for r in train if not (r.is_real or r.run or r.parents)]
    if foreign:
        raise RefusedError(
            f"{_names(foreign)} ({foreign[0].origin}) name neither a run nor parents: what their "
            "generator learned from is unknown, so their lineage cannot be proven"
        )
    known = {record.sha256: record for record in (*held_out, *train)}
    offenders: dict[TrainingImage, list[ImageRecord]] = {}
    for record in train:
        ancestors, unproven = _ancestors(record, known, lineage)
        if unproven:
            raise RefusedError(
                f"'{record.file_name}' was made by the run {sorted(unproven)[0]}, whose list of "
                "training images is not with the set: its lineage cannot be proven"
            )
        for ancestor in ancestors:
            offenders.setdefault(ancestor, []).append(record)
    _check_files(offenders, held_out)
    _check_groups(offenders, held_out)
    _check_near_duplicates(offenders, held_out)


def _refuse(
    descendants: list[ImageRecord], ancestor: TrainingImage, how: str, held_out: ImageRecord
) -> RefusedError:
    itself = len(descendants) == 1 and descendants[0].sha256 == ancestor.sha256
    verb = "is" if itself else "descends from"
    return RefusedError(
        f"training image {_names(descendants)} {verb} {how} the {held_out.split or 'held-out'} "
        f"photograph '{held_out.file_name}'; a generator or mixture may only see the train split"
    )


def _check_files(
    offenders: Mapping[TrainingImage, list[ImageRecord]], held_out: list[ImageRecord]
) -> None:
    files = {record.sha256: record for record in held_out if record.sha256}
    for ancestor, descendants in offenders.items():
        if ancestor.sha256 in files:
            raise _refuse(descendants, ancestor, "the same file as", files[ancestor.sha256])


def _check_groups(
    offenders: Mapping[TrainingImage, list[ImageRecord]], held_out: list[ImageRecord]
) -> None:
    groups = {record.group: record for record in held_out if record.group}
    for ancestor, descendants in offenders.items():
        if ancestor.group and ancestor.group in groups:
            how = f"a photograph of the same patient ({ancestor.group}) as"
            raise _refuse(descendants, ancestor, how, groups[ancestor.group])


def _check_near_duplicates(
    offenders: Mapping[TrainingImage, list[ImageRecord]], held_out: list[ImageRecord]
) -> None:
    ancestors = list(offenders)
    distances, nearest = nearest_hash(
        [a.phash for a in ancestors], [record.phash for record in held_out]
    )
    for ancestor, distance, index in zip(ancestors, distances, nearest, strict=True):
        if distance <= NEAR_DUPLICATE:
            raise _refuse(offenders[ancestor], ancestor, "a near-duplicate of", held_out[index])
