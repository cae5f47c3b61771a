"""Evidence of a search for copies, which travels with a set so that no pair is looked at twice.

A search says of every pair of its photographs whether the two are one. It lies beside the images as
``copies/NAME.csv``, one row a file: its sha256, and the number of the photograph that it shows. Rows of files
that were left out stay: whoever meets such a file again knows what it is a copy of.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hzsynth.core.errors import InputError

COPIES = "copies"
_COLUMNS = ("sha256", "photograph", "version", "crops")


@dataclass(frozen=True)
class CopyEvidence:
    """What one search for copies found.

    Attributes:
        photographs: sha256 of every file that was searched -> number of the photograph it shows; files
            with one number are copies of each other.
        version: of the search's rules; another version may find other copies.
        crops: whether parts of photographs were looked for.
    """

    photographs: Mapping[str, int]
    version: int
    crops: bool

    @property
    def name(self) -> str:
        """Names the evidence by its content."""
        return hashlib.sha256(self.to_csv().encode()).hexdigest()[:16]

    def to_csv(self) -> str:
        """The table as text; equal searches have equal texts."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for digest, number in sorted(self.photographs.items()):
            writer.writerow((digest, number, self.version, int(self.crops)))
        return buffer.getvalue()


def copies_of(evidence: Iterable[CopyEvidence]) -> dict[str, set[str]]:
    """The copies of every file that has any, itself among them, by sha256."""
    copies: dict[str, set[str]] = {}
    for search in evidence:
        together: dict[int, set[str]] = {}
        for sha256, number in search.photographs.items():
            together.setdefault(number, set()).add(sha256)
        for members in together.values():
            if len(members) > 1:
                for sha256 in members:
                    copies.setdefault(sha256, set()).update(members)
    return copies


def read_copy_evidence(path: Path) -> CopyEvidence:
    """Reads the evidence of one search.

    Raises:
        InputError: the table is damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        kinds = {(int(row["version"]), bool(int(row["crops"]))) for row in rows}
        photographs = {row["sha256"]: int(row["photograph"]) for row in rows}
        ((version, crops),) = kinds
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"'{path}' is not the evidence of one search for copies") from error
    return CopyEvidence(photographs, version, crops)
