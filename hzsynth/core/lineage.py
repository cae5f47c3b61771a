"""Proof that no training image descends from a validation or test image.

An image descends from its parents and theirs, and through the run that made it from every image that
the run learned from; a photograph is one with its copies, whether a search found them or
preprocessing made them. Two photographs touch when anything behind the one is the same file
(sha256), a near-duplicate in any of the eight flips and turns (perceptual hash), or of the
same patient (group) as anything behind the other. What cannot be followed to photographs is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hzsynth.core.ancestors import Ancestor
from hzsynth.core.copy_evidence import copies_of
from hzsynth.core.errors import RefusedError
from hzsynth.core.image_record import ImageRecord, Role, TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.phash import NEAR_DUPLICATE, nearest_hash

_SHOWN = 3


@dataclass(frozen=True)
class Behind:
    """The images behind others.

    Attributes:
        images: each, with the first of the others that it stands behind; a run that learned from it
            is named by a record without a file.
        lost: the images that could not be followed, each with the reason.
    """

    images: Mapping[TrainingImage, ImageRecord]
    lost: Sequence[tuple[ImageRecord, str]]


class Families:
    """What several sets know of the images behind theirs; what one knows holds for all."""

    def __init__(self, sets: Iterable[ImageSet]) -> None:
        sets = tuple(sets)
        self.rows: dict[str, dict[Ancestor, None]] = {}
        self.lists: dict[str, dict[TrainingImage, None]] = {}
        for images in sets:
            for row in (*(Ancestor.of(record) for record in images), *images.ancestors):
                self.rows.setdefault(row.sha256, {})[row] = None
            for run, learned in images.lineage.items():
                self.lists.setdefault(run, {}).update(dict.fromkeys(learned))
        self.copies = copies_of(evidence for images in sets for evidence in images.copy_evidence)

    def behind(self, records: Iterable[ImageRecord]) -> Behind:
        """Everything behind images of the sets, themselves included."""
        walk = _Walk(self)
        for record in records:
            walk.image(Ancestor.of(record), record)
            walk.follow()
        return walk.end()

    def edits_a_photograph(self, record: ImageRecord) -> bool:
        """Whether an image is a photograph or was made from one by editing, in whatever many steps.

        Raises:
            RefusedError: a parent is known to nobody.
        """
        listed = {image.sha256 for images in self.lists.values() for image in images}
        if record.sha256 in {image.sha256 for image in self.lists.get(record.run, ())}:
            return True  # no generator makes what it learns from
        waiting, seen = [record.sha256], {""}
        while waiting:
            sha256 = waiting.pop()
            if sha256 in seen:
                continue
            seen.add(sha256)
            rows = self.rows.get(sha256, {})
            if any(row.is_real for row in rows) or (not rows and sha256 in listed):
                return True
            if not rows:
                raise RefusedError(_cannot_be_proven(record, _unknown_parent(sha256)))
            waiting += [parent for row in rows for parent in row.parents]
        return False

    def behind_list(self, name: str, learned: Iterable[TrainingImage]) -> Behind:
        """Everything behind what a run learned from; its list is complete.

        Args:
            name: of the run, for messages.
            learned: its list.
        """
        walk = _Walk(self)
        walk.listed(learned, ImageRecord("", "", run=name))
        walk.follow()
        return walk.end()


class _Walk:
    """One walk upwards; every image and every run is visited once."""

    def __init__(self, families: Families) -> None:
        self._families = families
        self._found: dict[TrainingImage, ImageRecord] = {}
        self._lost: list[tuple[ImageRecord, str]] = []
        self._unknown: dict[str, ImageRecord] = {}
        self._seen: set[str] = set()
        self._runs: set[str] = set()
        self._proven: set[str] = set()
        self._listed: set[str] = set()
        self._waiting: list[tuple[str, ImageRecord]] = []

    def image(self, row: Ancestor, start: ImageRecord) -> None:
        """Goes from an image to its run, its parents and its copies."""
        image = TrainingImage(row.sha256, row.phash, row.group, source=row.source)
        self._found.setdefault(image, start)
        self._proven.add(row.sha256)
        if row.run:
            self._run(row.run, start)
        elif not (row.is_real or row.parents):
            self._lose(
                start,
                f"is or descends from an image ({row.origin}) that names neither a run nor parents: "
                "what its generator learned from is unknown",
            )
        if row.is_real:
            # What a photograph was made from is an older version of it, if only the file that came in.
            self._proven.update(row.parents)
        self._waiting += [(parent, start) for parent in row.parents]
        self._waiting.append((row.sha256, start))

    def _run(self, run: str, start: ImageRecord) -> None:
        if run in self._runs:
            return
        self._runs.add(run)
        if run in self._families.lists:
            self.listed(self._families.lists[run], start)
        else:
            self._lose(
                start,
                f"was made by, or descends from an image of, the run {run}, whose list of training "
                "images is not with the set",
            )

    def listed(self, learned: Iterable[TrainingImage], start: ImageRecord) -> None:
        """Takes a run's list: it holds the ancestors of what it names, so nothing in it is lost."""
        for image in learned:
            self._found.setdefault(replace(image, role="learned"), start)
            self._proven.add(image.sha256)
            self._listed.add(image.sha256)
            self._waiting.append((image.sha256, start))

    def follow(self) -> None:
        """Visits what waits, and what that leads to."""
        while self._waiting:
            sha256, start = self._waiting.pop()
            if sha256 in self._seen:
                continue
            self._seen.add(sha256)
            rows = self._families.rows.get(sha256, {})
            if not rows and sha256 not in self._listed:
                self._found.setdefault(TrainingImage(sha256, "", ""), start)
                self._unknown[sha256] = start
            for row in rows:
                self.image(row, start)
            for copy in self._families.copies.get(sha256, ()):
                self._proven.add(copy)
                self._waiting.append((copy, start))

    def _lose(self, start: ImageRecord, reason: str) -> None:
        self._lost.append((start, reason))

    def end(self) -> Behind:
        """What was found; a parent is lost that neither a row nor a list knows."""
        for sha256, start in self._unknown.items():
            if sha256 not in self._proven:
                self._lose(start, _unknown_parent(sha256))
        return Behind(self._found, self._lost)


def _unknown_parent(sha256: str) -> str:
    return (
        f"descends from the image {sha256[:12]}, of which neither its set nor a list of training images "
        "knows anything"
    )


def learned_from(
    sets: Sequence[ImageSet], inherited: Iterable[TrainingImage] = ()
) -> tuple[TrainingImage, ...]:
    """The list of a run that learns from sets: their images and everything behind them.

    Args:
        sets: what is learned from.
        inherited: lists of the runs from whose weights or answers this one starts.

    Returns:
        The images of the sets as ``learned`` and what stands behind them as ``ancestor``; what the other
        runs learned from as ``inherited``, and what they watched or had behind theirs as it was.

    Raises:
        RefusedError: an image cannot be followed to photographs.
    """
    own = {r.sha256 for images in sets for r in images}
    behind = Families(sets).behind(record for images in sets for record in images)
    _refuse_lost(behind)
    listed = [
        replace(image, role="learned" if image.sha256 in own else "ancestor")
        for image in behind.images
    ]
    known = {replace(image, role="learned") for image in listed}
    more = [
        replace(image, role="inherited") if image.role == "learned" else image
        for image in inherited
        if replace(image, role="learned") not in known
    ]
    return tuple(dict.fromkeys([*listed, *more]))


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
    families = Families([*train, *held_out])
    learned = families.behind(record for images in train for record in images)
    _refuse_lost(learned)
    _compare(learned, _held_out(families, held_out))


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
    learned = families.behind(record for images in train for record in images)
    _compare(learned, _held_out(families, held_out))
    return [_cannot_be_proven(record, reason) for record, reason in learned.lost]


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
    seen = families.behind_list(name, learned)
    _refuse_lost(seen)
    _compare(seen, _held_out(families, held_out))


def untouched(images: ImageSet, learned: Iterable[TrainingImage]) -> tuple[ImageRecord, ...]:
    """The images of a set that have nothing to do with what a run learned from.

    Args:
        images: any images.
        learned: the run's list.

    Returns:
        Those behind which there is no file, no near-duplicate and no patient that is behind the list.
    """
    families = Families([images])
    seen = families.behind_list("", learned).images
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
        raise RefusedError(_cannot_be_proven(record, reason))


def _cannot_be_proven(record: ImageRecord, reason: str) -> str:
    name = f"'{record.file_name}'" if record.file_name else f"the run {record.run}"
    return f"{name} {reason}: its lineage cannot be proven"


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
