"""Ancestors: what is known of the images behind a set whose files do not travel with it.

A set's table names the parents of every image. Most of them are no files of the set: the photograph
before it was preprocessed, the generated image before it was translated. Their rows travel
as ``lineage/ancestors.csv``, so that what stands behind an image is known wherever it goes.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hzsynth.core.copy_evidence import CopyEvidence, copies_of
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import REAL_ORIGINS, ImageRecord

ANCESTORS = "ancestors"
"""Name of the table in a set's folder ``lineage``, beside the lists of the runs."""
_COLUMNS = ("sha256", "phash", "group", "source", "origin", "parents", "run")


@dataclass(frozen=True)
class Ancestor:
    """An image behind others: enough to recognise it, its copies, its patient and its own parents.

    Attributes:
        sha256: of the file's bytes.
        phash: perceptual hash.
        group: patient or case.
        source: the data set or device it comes from.
        origin: one of `image_record.ORIGINS`.
        parents: sha256 of the images that it was made from.
        run: id of the run that made it; empty for photographs.
    """

    sha256: str
    phash: str = ""
    group: str = ""
    source: str = ""
    origin: str = "real"
    parents: tuple[str, ...] = ()
    run: str = ""

    @classmethod
    def of(cls, record: ImageRecord) -> "Ancestor":
        """The row of an image of a set, as an ancestor of another."""
        return cls(
            record.sha256,
            record.phash,
            record.group,
            record.source,
            record.origin,
            tuple(record.parents),
            record.run,
        )

    @property
    def is_real(self) -> bool:
        """Whether it is a photograph."""
        return self.origin in REAL_ORIGINS


def needed(
    records: Iterable[ImageRecord], known: Iterable[Ancestor], evidence: Iterable[CopyEvidence] = ()
) -> tuple[Ancestor, ...]:
    """The rows among `known` that a set has to carry besides its own.

    Args:
        records: the images of the set.
        known: rows of whatever images.
        evidence: what searches for copies have found.

    Returns:
        Parents and copies that are no images of the set, their parents and so on, and images of the
        set under another patient's name (searches for copies unite patients), in a fixed order.
    """
    names: dict[str, set[str]] = {}
    waiting: set[str] = set()
    for record in records:
        names.setdefault(record.sha256, set()).add(record.group)
        waiting.update((record.sha256, *record.parents))
    rows: dict[str, set[Ancestor]] = {}
    for row in known:
        rows.setdefault(row.sha256, set()).add(row)
    copies = copies_of(evidence)
    found: set[Ancestor] = set()
    seen = {""}
    while waiting:
        sha256 = waiting.pop()
        if sha256 in seen:
            continue
        seen.add(sha256)
        waiting.update(copies.get(sha256, ()))
        for row in rows.get(sha256, ()):
            if row.group not in names.get(sha256, ()):
                found.add(row)
            waiting.update(row.parents)
    return tuple(sorted(found, key=lambda row: (row.sha256, repr(row))))


def ancestors_csv(rows: Iterable[Ancestor]) -> str:
    """The table as text; equal rows have equal texts."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in sorted(set(rows), key=lambda row: (row.sha256, repr(row))):
        values = {**vars(row), "parents": " ".join(row.parents)}
        writer.writerow([values[column] for column in _COLUMNS])
    return buffer.getvalue()


def read_ancestors(path: Path) -> tuple[Ancestor, ...]:
    """Reads the table; a set without one has none.

    Raises:
        InputError: the table is damaged.
    """
    if not path.is_file():
        return ()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(_ancestor(row) for row in csv.DictReader(file))
    except (OSError, KeyError, AttributeError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not a table of ancestors: {error}") from error


def _ancestor(row: Mapping[str, str]) -> Ancestor:
    return Ancestor(
        sha256=row["sha256"],
        phash=row["phash"],
        group=row["group"],
        source=row["source"],
        origin=row["origin"],
        parents=tuple(row["parents"].split()),
        run=row["run"],
    )
