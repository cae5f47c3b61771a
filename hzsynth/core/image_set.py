"""ImageSet: a folder of images with one metadata row an image.

The folder has the Hugging Face `imagefolder` form (images + ``metadata.csv`` with a
``file_name`` column), so that other tools can open it. Beside it lie ``lineage/``, for
every generator whose images are in the set the list of images that it learned from, and ``copies/``,
what searches for copies have found. A set is immutable: a stage writes a new one (see
`core.image_set_writer`).
"""

import hashlib
import io
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hzsynth.core.ancestors import ANCESTORS, Ancestor, needed, read_ancestors
from hzsynth.core.copy_evidence import COPIES, CopyEvidence, read_copy_evidence
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import (
    COLUMNS,
    LINEAGE,
    METADATA,
    SPLITS,
    ImageRecord,
    TrainingImage,
    checked_relative,
    read_row,
    read_training_images,
    table_of,
)
from hzsynth.core.photos import decode_image
from hzsynth.core.tables import read_table
from hzsynth.core.thumbnails import overview_html

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from hzsynth.core.torch_images import TorchImages

_SHOWN = 24


class ImageSet:
    """An immutable set of images on disk.

    Attributes:
        root: the folder.
        records: the images, in the order of the table.
        lineage: for every generator's run, the images that it learned from.
        copy_evidence: what searches for copies among these and other files have found.
        ancestors: rows of images that stand behind these and are not among them.

    Examples:
        >>> rows = [
        ...     ImageRecord("a.png", "zoster", split="train"),
        ...     ImageRecord("b.png", "eczema", split="train"),
        ...     ImageRecord("c.png", "zoster", split="test"),
        ... ]
        >>> images = ImageSet("photographs", rows)
        >>> images
        <ImageSet 'photographs': 3 images; classes: eczema 1, zoster 2; splits: train 2, test 1; origins: real 3>
        >>> len(images), images[0].label, len(images[1:])
        (3, 'zoster', 2)
        >>> [record.file_name for record in images if record.split == "test"]
        ['c.png']
    """

    def __init__(
        self,
        root: Path | str,
        records: Iterable[ImageRecord],
        lineage: Mapping[str, tuple[TrainingImage, ...]] | None = None,
        copy_evidence: Iterable[CopyEvidence] = (),
        ancestors: Iterable[Ancestor] = (),
    ) -> None:
        self.root = Path(root)
        self.records = tuple(records)
        self.lineage = dict(lineage or {})
        self.copy_evidence = tuple(copy_evidence)
        self.ancestors = tuple(ancestors)

    @classmethod
    def load(cls, path: Path | str) -> "ImageSet":
        """Reads a set that `ImageSetWriter` wrote.

        Args:
            path: the set's folder.

        Returns:
            The set.

        Raises:
            InputError: there is no such set, or its table is damaged.
        """
        table_path = Path(path) / METADATA
        if not table_path.is_file():
            raise InputError(f"'{path}' is not an image set: it has no {METADATA}")
        return cls.from_frame(read_table(table_path), path)

    @classmethod
    def from_frame(cls, frame: "pd.DataFrame", root: Path | str) -> "ImageSet":
        """The set that a table describes, such as one of `to_frame` with rows left out or changed.

        Args:
            frame: one row an image, with all columns of a set's table; others are kept as they are.
            root: the folder that holds the images; what lies there of lineage and copies is read.

        Returns:
            The set.

        Raises:
            InputError: a column is missing, or a row is not of the allowed form.
        """
        root = Path(root)
        missing = [c for c in COLUMNS if c not in frame.columns]
        if missing:
            raise InputError(f"'{root / METADATA}' lacks the columns {', '.join(missing)}")
        text = frame.astype(object).where(frame.notna(), "").astype(str)
        rows = [
            read_row(root, {str(k): v for k, v in row.items()}) for row in text.to_dict("records")
        ]
        lists = sorted((root / LINEAGE).glob("*.csv"))
        lineage = {
            file.stem: read_training_images(file) for file in lists if file.stem != ANCESTORS
        }
        evidence = [read_copy_evidence(file) for file in sorted((root / COPIES).glob("*.csv"))]
        ancestors = read_ancestors(root / LINEAGE / f"{ANCESTORS}.csv")
        return cls(root, rows, lineage, evidence, ancestors)

    def to_frame(self) -> "pd.DataFrame":
        """One row an image with every column of the table, further ones after the known.

        Width and height are numbers, all other columns text; `parents` are separated by spaces.

        Examples:
            >>> row = ImageRecord("a.png", "zoster", extra={"site": "trunk"})
            >>> ImageSet("photographs", [row]).to_frame()[["label", "origin", "site"]]
                label origin   site
            0  zoster   real  trunk
        """
        import pandas as pd  # here: a worker that reads images would wait for it

        columns, rows = table_of(self.records)
        return pd.DataFrame(rows, columns=pd.Index(columns))

    def to_torch(
        self,
        size: int | None = None,
        *,
        labels: Sequence[str] | None = None,
        transform: "Callable[[torch.Tensor], torch.Tensor] | None" = None,
    ) -> "TorchImages":
        """The images as a torch data set.

        Args:
            size: side of the central square in pixels; None leaves every picture its own size.
            labels: class names, whose places are the targets; None takes those of this set, so a part
                that lacks a class wants the names of the whole.
            transform: applied to every image.

        Returns:
            Pairs of an image, uint8 3 x H x W, and the index of its class.

        Raises:
            InputError: `labels` lacks a class that occurs.
        """
        from hzsynth.core.torch_images import TorchImages  # here: loading torch takes seconds

        names = list(self.labels if labels is None else labels)
        unknown = sorted(set(self.labels) - set(names))
        if unknown:
            raise InputError(f"`labels` is {', '.join(names)}: it lacks {', '.join(unknown)}")
        files = [self.path(record) for record in self.records]
        return TorchImages(files, [names.index(r.label) for r in self.records], size, transform)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[ImageRecord]:
        return iter(self.records)

    @overload
    def __getitem__(self, place: int) -> ImageRecord: ...

    @overload
    def __getitem__(self, place: slice) -> "ImageSet": ...

    def __getitem__(self, place: int | slice) -> "ImageRecord | ImageSet":
        if isinstance(place, slice):
            return self.replace_records(self.records[place])
        return self.records[operator.index(place)]

    def _counts(self) -> dict[str, dict[str, int]]:
        splits = Counter(record.split for record in self.records)
        return {
            "classes": dict(sorted(Counter(record.label for record in self.records).items())),
            "splits": {name: splits[name] for name in SPLITS[1:] if splits[name]},
            "origins": dict(sorted(Counter(record.origin for record in self.records).items())),
        }

    def __repr__(self) -> str:
        parts = [
            f"{name}: " + ", ".join(f"{key} {count}" for key, count in counts.items())
            for name, counts in self._counts().items()
            if counts
        ]
        return f"<ImageSet '{self.root}': {'; '.join((_images(len(self)), *parts))}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the counts, and some images evenly picked."""
        chosen = np.unique(np.linspace(0, len(self) - 1, _SHOWN).round().astype(int))
        shown = [self.records[i] for i in chosen] if len(self) else []
        pictures = [(self.path(record), record.label) for record in shown]
        return overview_html(f"{self.root.name}: {_images(len(self))}", self._counts(), pictures)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The class names that occur, sorted."""
        return tuple(sorted({record.label for record in self.records}))

    @cached_property
    def digest(self) -> str:
        """Identifies the content: bytes, class, split, patient, origin, mask and further columns.

        Raises:
            InputError: a mask cannot be read.
        """
        hasher = hashlib.sha256()
        for r in sorted(self.records, key=lambda r: (r.sha256, r.file_name)):
            values = [r.sha256, r.label, r.split, r.group, r.origin]
            if r.mask:
                values.append(f"mask={hashlib.sha256(self._mask_bytes(r)).hexdigest()}")
            values += [f"{key}={r.extra[key]}" for key in sorted(r.extra) if r.extra[key]]
            hasher.update("\x1f".join(values).encode())
            hasher.update(b"\x1e")
        return hasher.hexdigest()

    @property
    def has_splits(self) -> bool:
        """Whether every image belongs to train, val or test."""
        return bool(self.records) and all(record.split for record in self.records)

    def select(
        self, split: str | None = None, label: str | None = None, origin: str | None = None
    ) -> "ImageSet":
        """The images that have the given split, label and origin.

        Args:
            split: train, val or test; None: any.
            label: a class name; None: any.
            origin: one of `ORIGINS`; None: any.

        Returns:
            Those images, in their order; none when nothing fits.

        Examples:
            >>> rows = [ImageRecord("a.png", "zoster"), ImageRecord("b.png", "eczema")]
            >>> ImageSet("photographs", rows).select(label="eczema").records[0].file_name
            'b.png'
        """
        chosen = [
            r
            for r in self.records
            if (split is None or r.split == split)
            and (label is None or r.label == label)
            and (origin is None or r.origin == origin)
        ]
        return self.replace_records(chosen)

    def held_out_part(self) -> "ImageSet":
        """The val and test splits; nothing when there are no splits."""
        return self.replace_records(r for r in self.records if r.split in ("val", "test"))

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
        try:
            with Image.open(io.BytesIO(self._mask_bytes(record))) as mask:
                return np.asarray(mask.convert("L")) > 127
        except OSError as error:
            raise InputError(f"cannot read the mask '{record.mask}': {error}") from error

    def _mask_bytes(self, record: ImageRecord) -> bytes:
        path = checked_relative(self.root, record.mask)
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read the mask '{path}': {error.strerror}") from error

    def replace_records(self, records: Iterable[ImageRecord]) -> "ImageSet":
        """The same folder with other rows."""
        records = tuple(records)
        # What is left out may stand behind what is kept.
        related = self.ancestors or self.copy_evidence or any(record.parents for record in records)
        known = (*self.ancestors, *(Ancestor.of(record) for record in self.records if related))
        behind = needed(records, known, self.copy_evidence) if related else ()
        return ImageSet(self.root, records, self.lineage, self.copy_evidence, behind)


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
