"""What a source tells the importer: where each image lies, what it shows, whose it is.

A source only looks for images; reading, checking, hashing and writing them is the same for all
and lies in `data.importing`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hzsynth.core.ancestors import Ancestor
from hzsynth.core.config import Config
from hzsynth.core.copy_evidence import CopyEvidence
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import TrainingImage
from hzsynth.data.sources.archives import read_member, read_start

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".jp2"}
)
MAX_FILE_BYTES = 512 * 2**20
"""Largest file that is read: no photograph is larger, a decompression bomb is."""

Box = tuple[int, int, int, int]
"""Left, upper, right and lower edge, pixels of the upright picture; the latter two outside."""


@dataclass(frozen=True)
class Location:
    """Where the bytes of an image lie: a file, or a member of a zip archive.

    Attributes:
        path: the file or the archive.
        member: the member's name as the archive stores it; empty for a file.
    """

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    def read(self, limit: int = MAX_FILE_BYTES) -> bytes:
        """The bytes.

        Raises:
            InputError: the file cannot be read, or is larger than `limit` bytes.
        """
        if self.member:
            return read_member(self.path, self.member, limit)
        try:
            if self.path.stat().st_size > limit:
                raise InputError(f"'{self}' is larger than {limit >> 20} MB, no photograph is")
            return self.path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read '{self}': {error.strerror}") from error

    def read_start(self, size: int) -> bytes:
        """The first bytes, at most `size`.

        Raises:
            InputError: the file cannot be read.
        """
        if self.member:
            return read_start(self.path, self.member, size)
        try:
            with self.path.open("rb") as file:
                return file.read(size)
        except OSError as error:
            raise InputError(f"cannot read '{self}': {error.strerror}") from error


@dataclass(frozen=True)
class SourceImage:
    """One image of a published data set, found but not yet read.

    Attributes:
        location: where it lies.
        name: its file name, for messages and for the name it gets in the set.
        label: class name, composed Unicode (NFC).
        split: empty, train, val or test, where the data set prescribes one.
        group: patient, case or subject; empty when unknown.
        source: the data set (and device) it comes from.
        origin: one of `core.image_record.ORIGINS`.
        licence: terms under which it may be used.
        parents: sha256 of the images that it was made from.
        run: id of the generator's run; empty for photographs.
        seed: seed that made it; empty for photographs.
        box: the part of the picture that is taken; None takes all of it, byte for byte.
        mask: where its lesion mask lies, if it has one.
        extra: further columns.
    """

    location: Location
    name: str
    label: str
    split: str = ""
    group: str = ""
    source: str = ""
    origin: str = "real"
    licence: str = ""
    parents: tuple[str, ...] = ()
    run: str = ""
    seed: str = ""
    box: Box | None = None
    mask: Location | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a source found.

    Attributes:
        images: in a fixed order, at least one.
        remarks: sentences for the user: counts that differ from the published ones,
            images that the data set lists and that are not there, labels that were passed over.
        lineage: for every generator's run, what it learned from.
        copy_evidence: what searches for copies have found among the images.
        ancestors: rows of images that stand behind these and are not among them.
    """

    images: tuple[SourceImage, ...]
    remarks: tuple[str, ...] = ()
    lineage: Mapping[str, tuple[TrainingImage, ...]] = field(default_factory=dict)
    copy_evidence: tuple[CopyEvidence, ...] = ()
    ancestors: tuple[Ancestor, ...] = ()


@dataclass(frozen=True)
class Source:
    """A kind of data set that can be imported.

    Attributes:
        kind: how a user names it.
        description: one line for the help.
        config: its settings.
        find: looks for the images at a path.
    """

    kind: str
    description: str
    config: type[Config]
    find: Callable[[Path, Any], Found]
