"""Proof that no training image descends from a validation or test image.

An image descends from its parents and theirs, and through the run that made it from every image that
the run learned from; a photograph is one with its copies, whether a search found them or
preprocessing made them. Two photographs touch when anything behind the one is the same file
(sha256), a near-duplicate in any of the eight flips and turns (perceptual hash), or of the
same patient (group) as anything behind the other. What cannot be followed to photographs is refused.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from hzsynth.core.errors import RefusedError
from hzsynth.core.families import Behind, Families, cannot_be_proven
from hzsynth.core.image_record import ImageRecord, Role, TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.phash import NEAR_DUPLICATE, nearest_hash

_SHOWN = 3


def learned_from(
    sets: Sequence[ImageSet], inherited: Iterable[TrainingImage] = ()
) -> tuple[TrainingImage, ...]:
    """The list of a run that learns from sets: their images and everything behind them.

    Args:
        sets: what is learned from.
        inherited: lists of the runs from whose weights or answers this one starts.

    Returns:
        The images of the sets as ``learned`` and what stands behind them as ``ancestor``; what the other
        runs learned from as ``inherited``, and what they watched, were validated on or had behind theirs
        as it was.

    Raises:
        RefusedError: an image cannot be followed to photographs.
    """
    own = {r.sha256 for images in sets for r in images}
    families = Families(sets)
    behind, more = (
        families.behind((record for images in sets for record in images), validated)
        for validated in (False, True)
    )
    _refuse_lost(behind)
    listed = [
        replace(image, role="learned" if image.sha256 in own else "ancestor")
        for image in behind.images
    ]
    validated = [replace(i, role="validated") for i in more.images if i not in behind.images]
    known = {replace(image, role="learned") for image in listed}
    others = [
        replace(image, role="inherited") if image.role == "learned" else image
        for image in (*validated, *inherited)
        if replace(image, role="learned") not in known
    ]
    return tuple(dict.fromkeys([*listed, *others]))


def in_role(images: Iterable[TrainingImage], role: Role) -> tuple[TrainingImage, ...]:
    """The images with another role in a run."""
    return tuple(replace(image, role=role) for image in images)


def check_lineage(train: Sequence[ImageSet], held_out: Sequence[ImageSet]) -> None:
    """Refuses training images that touch held-out photographs.

    Args:
        train: the images to learn from, of any origin.
        held_out: the validation and test images.

    Raises:
        RefusedError: an image to learn from is, or descends from, a held-out photograph, a copy
            of it or another photograph of the same patient; a held-out image is not a
            photograph; or an image cannot be followed to photographs.
    """
    for reason in check_as_far_as_known(train, held_out):
        raise RefusedError(reason)


def check_as_far_as_known(train: Sequence[ImageSet], held_out: Sequence[ImageSet]) -> list[str]:
    """Refuses as `check_lineage`, but names what cannot be followed instead of refusing it.

    Args:
        train: the images to learn from, of any origin.
        held_out: the validation and test images.

    Returns:
        A sentence for every image that cannot be followed to photographs.

    Raises:
        RefusedError: an image to learn from touches a held-out photograph.
    """
    families = Families([*train, *held_out])
    records = [record for images in train for record in images]
    learned = _compared(families, held_out, partial(families.behind, records))
    return [cannot_be_proven(record, reason) for record, reason in learned.lost]


def check_learned(
    name: str,
    learned: Iterable[TrainingImage],
    held_out: Sequence[ImageSet],
    known: Sequence[ImageSet] = (),
) -> None:
    """Refuses a run that learned from what touches held-out photographs.

    Args:
        name: of the run, for the message.
        learned: its list.
        held_out: the photographs that it must not have seen.
        known: sets that may know the images of the list under further names of their patients.

    Raises:
        RefusedError: as `check_lineage`.
    """
    families = Families([*held_out, *known])
    _refuse_lost(_compared(families, held_out, partial(families.behind_list, name, list(learned))))


def _compared(
    families: Families, held_out: Sequence[ImageSet], behind: Callable[[bool], Behind]
) -> Behind:
    """What is behind images or a run, none of which touches a held-out photograph.

    Validation photographs may validate again, and test nothing.
    """
    learned = behind(False)
    _compare(learned, _held_out(families, held_out))
    validated = behind(True)
    if len(validated.images) > len(learned.images):
        tested = [i.replace_records(r for r in i if r.split != "val") for i in held_out]
        _compare(validated, _held_out(families, tested))
    return learned


def untouched(images: ImageSet, learned: Iterable[TrainingImage]) -> tuple[ImageRecord, ...]:
    """The images of a set that have nothing to do with what a run learned from.

    Args:
        images: any images.
        learned: the run's list.

    Returns:
        Those behind which there is no file, no near-duplicate and no patient that is behind the list.
    """
    families = Families([images])
    seen = families.behind_list("", learned, validated=True).images
    files = {image.sha256 for image in seen}
    patients = {patient for image in seen for patient in image.patients}
    hashes = [image.phash for image in seen if image.phash]
    kept = []
    for record in images:
        own = families.behind([record]).images
        if any(image.sha256 in files or image.patients & patients for image in own):
            continue
        distances, _ = nearest_hash([image.phash for image in own], hashes)
        if (distances > NEAR_DUPLICATE).all():
            kept.append(record)
    return tuple(kept)


def _held_out(families: Families, sets: Sequence[ImageSet]) -> Behind:
    records = [record for images in sets for record in images]
    made = [record for record in records if not record.is_real]
    if made:
        raise RefusedError(
            f"evaluation is on real photographs only, but the held-out images {_names(made)} "
            "are synthetic or augmented"
        )
    return families.behind(records)


def _names(records: Sequence[ImageRecord]) -> str:
    rest = f" and {len(records) - _SHOWN} more" if len(records) > _SHOWN else ""
    return ", ".join(f"'{record.file_name}'" for record in records[:_SHOWN]) + rest


def _refuse_lost(behind: Behind) -> None:
    for record, reason in behind.lost:
        raise RefusedError(cannot_be_proven(record, reason))


def _compare(learned: Behind, held_out: Behind) -> None:
    """Compares what is behind both by file, patient and perceptual hash."""
    _refuse_lost(held_out)
    files: dict[str, ImageRecord] = {}
    patients: dict[str, tuple[ImageRecord, str]] = {}
    for image, record in held_out.images.items():
        files.setdefault(image.sha256, record)
        for patient in image.patients:
            patients.setdefault(patient, (record, image.source))
    for image, record in learned.images.items():
        if image.sha256 and image.sha256 in files:
            raise _refusal(image, record, "the same file as", files[image.sha256])
        for patient in image.patients & patients.keys():
            how = f"a photograph of the same patient ({patient}) as"
            other, source = patients[patient]
            raise _refusal(image, record, how, other, _two_sources(image.source, source))
    ours = {image.phash: image for image in learned.images if image.phash}
    theirs = {image.phash: record for image, record in held_out.images.items() if image.phash}
    distances, nearest = nearest_hash(list(ours), list(theirs))
    for image, distance, index in zip(ours.values(), distances, nearest, strict=True):
        if distance <= NEAR_DUPLICATE:
            record = list(theirs.values())[index]
            raise _refusal(image, learned.images[image], "a near-duplicate of", record)


def _two_sources(first: str, second: str) -> str:
    """What may be the matter where one name of a patient comes from two data sets."""
    if not first or not second or first.partition("/")[0] == second.partition("/")[0]:
        return ""
    return (
        f" (where {first} and {second} number different patients alike, `hzsynth data merge` puts them "
        "into one set that tells them apart)"
    )


def _refusal(
    image: TrainingImage, record: ImageRecord, how: str, held_out: ImageRecord, more: str = ""
) -> RefusedError:
    """A sentence about an image, or about a run with its list where the record has no file."""
    verb = "is" if record.sha256 == image.sha256 else "descends from"
    found = f"training image '{record.file_name}' {verb}"
    if not record.file_name:
        found = f"the run {record.run} has seen"
    return RefusedError(
        f"{found} {how} the {held_out.split or 'held-out'} photograph '{held_out.file_name}'; a "
        f"generator, classifier or mixture may only see the train split{more}"
    )
