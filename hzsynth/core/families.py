"""Families: what stands behind an image, through everything that several sets know.

An image descends from its parents and theirs, and through the run that made it from every image that
the run learned from; a photograph is one with its copies, whether a search found them or
preprocessing made them. `lineage` compares what stands behind two images.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hzsynth.core.ancestors import Ancestor
from hzsynth.core.copy_evidence import copies_of
from hzsynth.core.errors import RefusedError
from hzsynth.core.image_record import ImageRecord, TrainingImage
from hzsynth.core.image_set import ImageSet


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

    def behind(self, records: Iterable[ImageRecord], validated: bool = False) -> Behind:
        """Everything behind images of the sets, themselves included.

        Args:
            records: the images.
            validated: whether what runs were only validated on counts, too.
        """
        walk = _Walk(self, validated)
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
                raise RefusedError(cannot_be_proven(record, _unknown_parent(sha256)))
            waiting += [parent for row in rows for parent in row.parents]
        return False

    def behind_list(
        self, name: str, learned: Iterable[TrainingImage], validated: bool = False
    ) -> Behind:
        """Everything behind what a run learned from; its list is complete.

        Args:
            name: of the run, for messages.
            learned: its list.
            validated: whether what runs were only validated on counts, too.
        """
        walk = _Walk(self, validated)
        walk.listed(learned, ImageRecord("", "", run=name))
        walk.follow()
        return walk.end()


class _Walk:
    """One walk upwards; every image and every run is visited once."""

    def __init__(self, families: Families, validated: bool) -> None:
        self._families, self._validated = families, validated
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
            if image.role == "validated" and not self._validated:
                continue
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


def cannot_be_proven(record: ImageRecord, reason: str) -> str:
    """The sentence about what cannot be followed to photographs."""
    name = f"'{record.file_name}'" if record.file_name else f"the run {record.run}"
    return f"{name} {reason}: its lineage cannot be proven"
