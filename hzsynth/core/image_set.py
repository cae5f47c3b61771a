"""ImageSet: a folder of images with one metadata row an image, and its atomic writer.

The folder has the Hugging Face `imagefolder` form (images + ``metadata.csv`` with a
``file_name`` column), so that other tools can open it. Beside it lies ``lineage/``: for
every generator whose images are in the set, the list of images that it learned from.
A set is immutable: a stage writes a new one.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.photos import decode_image

if TYPE_CHECKING:
    import pandas as pd

ORIGINS = (
    "real",
    "phantom",
    "augmented",
    "stylegan2",
    "cyclegan",
    "transplant",
    "diffusion",
    "external",
)
"""``transplant``: the lesion of one photograph on the skin of another. ``external``: made by somebody else's generator, of which nobody here knows what it saw."""
REAL_ORIGINS = ("real", "phantom")
"""Origins that count as photographs: the phantom stands for them where there are none."""
SPLITS = ("", "train", "val", "test")
METADATA = "metadata.csv"
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


COLUMNS = tuple(f.name for f in fields(ImageRecord) if f.name != "extra")


@dataclass(frozen=True)
class TrainingImage:
    """An image that a generator learned from: enough to recognise it, its copies and its patient.

    Attributes:
        sha256: of the file's bytes.
        phash: perceptual hash.
        group: patient or case.
    """

    sha256: str
    phash: str
    group: str


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


def _record(root: Path, row: Mapping[str, str]) -> ImageRecord:
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


class ImageSet:
    """An immutable set of images on disk.

    Attributes:
        root: the folder.
        records: the images, in the order of the table.
        lineage: for every generator's run, the images that it learned from.
    """

    def __init__(
        self,
        root: Path,
        records: Iterable[ImageRecord],
        lineage: Mapping[str, tuple[TrainingImage, ...]] | None = None,
    ) -> None:
        self.root = root
        self.records = tuple(records)
        self.lineage = dict(lineage or {})

    @classmethod
    def load(cls, path: Path) -> "ImageSet":
        """Reads a set that `ImageSetWriter` wrote.

        Args:
            path: the set's folder.

        Returns:
            The set.

        Raises:
            InputError: there is no such set, or its table is damaged.
        """
        table_path = path / METADATA
        if not table_path.is_file():
            raise InputError(f"'{path}' is not an image set: it has no {METADATA}")
        table = read_table(table_path)
        missing = [c for c in COLUMNS if c not in table.columns]
        if missing:
            raise InputError(f"'{table_path}' lacks the columns {', '.join(missing)}")
        records = [
            _record(path, {str(k): v for k, v in row.items()}) for row in table.to_dict("records")
        ]
        lineage = {
            file.stem: read_training_images(file) for file in sorted((path / LINEAGE).glob("*.csv"))
        }
        return cls(path, records, lineage)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[ImageRecord]:
        return iter(self.records)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The class names that occur, sorted."""
        return tuple(sorted({record.label for record in self.records}))

    @cached_property
    def digest(self) -> str:
        """Identifies the content: a hash of every image's bytes, label, split and group."""
        hasher = hashlib.sha256()
        for r in sorted(self.records, key=lambda r: (r.sha256, r.file_name)):
            hasher.update("\x1f".join((r.sha256, r.label, r.split, r.group, r.origin)).encode())
            hasher.update(b"\x1e")
        return hasher.hexdigest()

    @property
    def has_splits(self) -> bool:
        """Whether every image belongs to train, val or test."""
        return bool(self.records) and all(record.split for record in self.records)

    def select(
        self, split: str | None = None, label: str | None = None, origin: str | None = None
    ) -> "ImageSet":
        """The images that have the given split, label and origin (None: any)."""
        chosen = [
            r
            for r in self.records
            if (split is None or r.split == split)
            and (label is None or r.label == label)
            and (origin is None or r.origin == origin)
        ]
        return ImageSet(self.root, chosen, self.lineage)

    def training_part(self) -> "ImageSet":
        """What a generator may see: the train split, or everything when there are no splits."""
        if any(record.split for record in self.records):
            return self.select(split="train")
        return self

    def path(self, record: ImageRecord) -> Path:
        """Where the image lies."""
        return self.root / record.file_name

    def read_bytes(self, record: ImageRecord) -> bytes:
        """The encoded image.

        Raises:
            InputError: the file is not there any more or cannot be read.
        """
        try:
            return self.path(record).read_bytes()
        except OSError as error:
            raise InputError(f"cannot read '{self.path(record)}': {error.strerror}") from error

    def read_pixels(self, record: ImageRecord) -> NDArray[np.uint8]:
        """The decoded image: H x W x 3, uint8 sRGB, upright (see `core.photos`).

        Raises:
            InputError: the file cannot be read, or it is no image or a damaged one.
        """
        return decode_image(self.read_bytes(record), str(self.path(record)))

    def read_mask(self, record: ImageRecord) -> NDArray[np.bool_] | None:
        """The lesion mask, H x W, or None when the image has none.

        Raises:
            InputError: the mask file is not there any more or cannot be read.
        """
        if not record.mask:
            return None
        path = checked_relative(self.root, record.mask)
        try:
            with Image.open(path) as mask:
                return np.asarray(mask.convert("L")) > 127
        except OSError as error:
            raise InputError(f"cannot read the mask '{path}': {error}") from error

    def replace_records(self, records: Iterable[ImageRecord]) -> "ImageSet":
        """The same folder with other rows."""
        return ImageSet(self.root, records, self.lineage)


def read_table(path: Path) -> "pd.DataFrame":
    """Reads a CSV table with every value as text (identifiers are text, never numbers).

    Raises:
        InputError: the file is no table, or it has no ``file_name`` column.
    """
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "cp949"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise InputError(f"'{path}' is neither UTF-8 nor CP949 text")
    import pandas as pd  # here: every worker would wait for it, and none reads a table

    try:
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"'{path}' is not a CSV table: {error}") from error
    if "file_name" not in table.columns:
        raise InputError(f"'{path}' has no column file_name")
    return table


def read_training_images(path: Path) -> tuple[TrainingImage, ...]:
    """Reads the list of images that a generator learned from.

    Raises:
        InputError: the list is damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            return tuple(TrainingImage(r["sha256"], r["phash"], r["group"]) for r in rows)
    except (OSError, KeyError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not a list of training images: {error}") from error


def training_images_csv(images: Iterable[TrainingImage]) -> str:
    """The text of a list of training images, sorted so that equal lists have equal bytes."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("sha256", "phash", "group"))
    for image in sorted(set(images), key=lambda i: (i.sha256, i.phash, i.group)):
        writer.writerow((image.sha256, image.phash, image.group))
    return buffer.getvalue()


def metadata_csv(records: Iterable[ImageRecord]) -> str:
    """The text of a set's ``metadata.csv``."""
    rows = list(records)
    extras = sorted({key for record in rows for key in record.extra})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*COLUMNS, *extras))
    for record in rows:
        flat = replace(record, extra={})
        values = [" ".join(record.parents) if c == "parents" else getattr(flat, c) for c in COLUMNS]
        writer.writerow((*values, *(record.extra.get(key, "") for key in extras)))
    return buffer.getvalue()
