"""The rows of an image set's table, and of the lists of what generators learned from."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, cast

from hzsynth.core.errors import InputError

ORIGINS = (
    "real",
    "phantom",
    "augmented",
    "light",
    "stylegan2",
    "cyclegan",
    "tone",
    "transplant",
    "diffusion",
    "external",
)
"""``light``: a GAN's light generator (before its own name it was called ``stylegan2``). ``tone``: a photograph or a generated image in another skin tone, in closed form. ``transplant``: the lesion of one photograph on the skin of another. ``external``: made by somebody else's generator, of which nobody here knows what it saw."""
REAL_ORIGINS = ("real", "phantom")
"""Origins that count as photographs: the phantom stands for them where there are none."""
SPLITS = ("", "train", "val", "test")
METADATA = "metadata.csv"
VIEWS = "views"
"""Column of a training set: how often an image is shown in one pass; empty: once."""
LINEAGE = "lineage"
_FORMULA = "=+@\t\r"


@dataclass(frozen=True)
class ImageRecord:
    """One image of a set: what it shows, where it comes from and what it descends from.

    Attributes:
        file_name: path relative to the set's root, with forward slashes.
        label: class name.
        split: empty, train, val or test.
        group: patient or case; empty when unknown.
        source: the data set or device it comes from.
        origin: one of `ORIGINS`.
        parents: sha256 of the images that it was made from.
        run: id of the generator's run; empty for photographs.
        seed: seed that made it; empty for photographs.
        sha256: of the file's bytes.
        phash: perceptual hash (see `core.phash`); empty when the picture is too flat.
        width: in pixels.
        height: in pixels.
        licence: terms under which the image may be used.
        mask: lesion mask, a file relative to the root; empty when there is none.
        extra: further columns of the table, kept as they are.
    """

    file_name: str
    label: str
    split: str = ""
    group: str = ""
    source: str = ""
    origin: str = "real"
    parents: tuple[str, ...] = ()
    run: str = ""
    seed: str = ""
    sha256: str = ""
    phash: str = ""
    width: int = 0
    height: int = 0
    licence: str = ""
    mask: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_real(self) -> bool:
        """Whether the image is a photograph (or a phantom standing for one)."""
        return self.origin in REAL_ORIGINS

    @property
    def patient(self) -> str:
        """Patient or case; an image of which nobody says whose it is counts as its own."""
        return self.group or self.sha256

    @property
    def views(self) -> int:
        """How often a training shows the image in one pass through its set; 1 unless the set says.

        Raises:
            InputError: what the set says is no number of times.
        """
        text = self.extra.get(VIEWS, "") or "1"
        if not text.isdecimal() or int(text) < 1:
            raise InputError(
                f"{VIEWS} of '{self.file_name}' is a whole number from 1, not '{text}'"
            )
        return int(text)


COLUMNS = tuple(f.name for f in fields(ImageRecord) if f.name != "extra")


Role = Literal["learned", "watched", "validated", "ancestor", "inherited"]
"""What an image was to a run: learned from; only watched (a part of train that told when to stop); a validation
photograph, which told what to keep; behind what was learned from; or learned from by another run whose weights or
answers this one starts from."""


@dataclass(frozen=True)
class TrainingImage:
    """An image that a run learned from: enough to recognise it, its copies and its patient.

    Attributes:
        sha256: of the file's bytes.
        phash: perceptual hash.
        group: patient or case.
        role: what it was to the run.
        source: the data set or device it comes from, within which the patient's name holds.
    """

    sha256: str
    phash: str
    group: str
    role: Role = "learned"
    source: str = ""

    @property
    def patients(self) -> frozenset[str]:
        """The patient's names: as given, and with the name of the data set before it."""
        return frozenset({self.group, named_patient(self.group, self.source)} - {""})


def named_patient(group: str, source: str) -> str:
    """A patient's name with that of the data set, within which it is the patient's.

    Args:
        group: the name; it may have the data set's before it already.
        source: ``DATA SET`` or ``DATA SET/device``: several devices see one person.
    """
    dataset = source.partition("/")[0]
    if not group or not dataset or group.startswith(f"{dataset}/"):
        return group
    return f"{dataset}/{group}"


def checked_relative(root: Path, name: str) -> Path:
    """Resolves a relative name inside `root`.

    Raises:
        InputError: the name is absolute or leads out of the folder, or a spreadsheet program
            would take it for a formula.
    """
    path = root / name
    if not name or Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name:
        raise InputError(f"'{root / METADATA}' names a file outside its folder: '{name}'")
    if name[0] in _FORMULA:
        # The table is opened by people, and a formula may send what stands beside it elsewhere.
        raise InputError(
            f"'{root / METADATA}' names a file '{name}', which a spreadsheet program takes for a "
            "formula; rename it"
        )
    return path


def read_row(root: Path, row: Mapping[str, str]) -> ImageRecord:
    """The record of a row of a set's table.

    Args:
        root: the set's folder.
        row: every column as text; what is not of `COLUMNS` is kept as further columns.

    Raises:
        InputError: the row is not of the allowed form; the sentence names the image.
    """
    checked_relative(root, row["file_name"])
    if row["mask"]:
        checked_relative(root, row["mask"])
    where = f"'{root / METADATA}', image '{row['file_name']}'"
    if row["split"] not in SPLITS:
        raise InputError(f"{where}: split is train, val, test or empty, not '{row['split']}'")
    if row["origin"] not in ORIGINS:
        raise InputError(f"{where}: origin is one of {', '.join(ORIGINS)}, not '{row['origin']}'")
    try:
        width, height = int(row["width"]), int(row["height"])
    except ValueError:
        raise InputError(f"{where}: width and height are whole numbers of pixels") from None
    known = {c: row[c] for c in COLUMNS if c not in ("parents", "width", "height")}
    extra = {k: v for k, v in row.items() if k not in COLUMNS}
    return ImageRecord(
        **known, parents=tuple(row["parents"].split()), width=width, height=height, extra=extra
    )


def read_training_images(path: Path) -> tuple[TrainingImage, ...]:
    """Reads the list of images that a generator learned from.

    Raises:
        InputError: the list is damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            return tuple(
                TrainingImage(
                    r["sha256"],
                    r["phash"],
                    r["group"],
                    cast("Role", r.get("role") or "learned"),
                    r.get("source") or "",
                )
                for r in rows
            )
    except (OSError, KeyError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not a list of training images: {error}") from error


def training_images_csv(images: Iterable[TrainingImage]) -> str:
    """The text of a list of training images, sorted so that equal lists have equal bytes."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [f.name for f in fields(TrainingImage)]
    writer.writerow(columns)
    writer.writerows(sorted([getattr(image, c) for c in columns] for image in set(images)))
    return buffer.getvalue()


def metadata_csv(records: Iterable[ImageRecord]) -> str:
    """The text of a set's ``metadata.csv``."""
    columns, rows = table_of(tuple(records))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def table_of(records: Sequence[ImageRecord]) -> tuple[list[str], list[list[str | int]]]:
    """A set's table: the columns, further ones at the end, and a row for every record."""
    extras = sorted({key for record in records for key in record.extra})
    rows = []
    for record in records:
        flat = {**vars(record), "parents": " ".join(record.parents)}
        rows.append([*(flat[c] for c in COLUMNS), *(record.extra.get(key, "") for key in extras)])
    return [*COLUMNS, *extras], rows
