"""The writer of an ImageSet: into a sibling folder, renamed when everything is there."""

import hashlib
import io
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.files import explain_os_error
from hzsynth.core.image_set import (
    LINEAGE,
    METADATA,
    ORIGINS,
    SPLITS,
    ImageRecord,
    ImageSet,
    TrainingImage,
    metadata_csv,
    training_images_csv,
)
from hzsynth.core.phash import perceptual_hash

_NOT_IN_NAMES = str.maketrans(dict.fromkeys('/\\:*?"<>|\x00\n\r\t', "_"))


def safe_name(text: str) -> str:
    """A file or folder name from a label: composed Unicode, without separators or controls."""
    name = unicodedata.normalize("NFC", text).translate(_NOT_IN_NAMES).strip(" .")
    return name or "_"


def mask_name(file_name: str) -> str:
    """Where the mask of an image lies, relative to the set."""
    return "masks/" + PurePosixPath(file_name).with_suffix(".png").as_posix().removeprefix(
        "images/"
    )


def refuse_existing(path: Path, force: bool = False) -> None:
    """Refuses an output that already holds something.

    Args:
        path: the output folder.
        force: whether an ImageSet there may be replaced.

    Raises:
        InputError: the place is taken, or its parent cannot be written to.
    """
    if path.exists():
        if not path.is_dir():
            raise InputError(f"--out '{path}' is a file, expected a new folder")
        taken = any(path.iterdir())
        if taken and not (force and (path / METADATA).is_file()):
            raise InputError(
                f"--out '{path}' already exists and is not empty; name a new folder"
                + (" or use --force" if (path / METADATA).is_file() else "")
            )
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK):
        raise InputError(f"cannot write to '{path}': no permission in '{parent}'")


class ImageSetWriter:
    """Writes a new ImageSet; nothing appears at `path` until the block ends without an error.

    Args:
        path: the new set's folder.
        force: replace a set that is already there.

    Raises:
        InputError: the place is taken or cannot be written to.
    """

    def __init__(self, path: Path, force: bool = False) -> None:
        refuse_existing(path, force)
        self._path = path
        self._records: list[ImageRecord] = []
        self._lineage: dict[str, tuple[TrainingImage, ...]] = {}
        self._names: set[str] = set()
        self._taken: dict[str, int] = {}
        self._result: ImageSet | None = None

    def __enter__(self) -> Self:
        parent = self._path.absolute().parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            name = tempfile.mkdtemp(dir=parent, prefix=f".{self._path.name}.", suffix=".partial")
            self._root = Path(name)
            self._root.chmod(0o755)
        except OSError as error:
            raise explain_os_error("write to", self._path, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._publish()
        finally:
            shutil.rmtree(self._root, ignore_errors=True)
        if isinstance(error, OSError):
            raise explain_os_error("write to", self._path, error) from error

    def _publish(self) -> None:
        try:
            self._write(METADATA, metadata_csv(self._records).encode())
            for run, images in self._lineage.items():
                self._write(f"{LINEAGE}/{run}.csv", training_images_csv(images).encode())
            old: Path | None = None
            if self._path.exists():
                old = Path(tempfile.mkdtemp(dir=self._root.parent, suffix=".partial"))
                os.replace(self._path, old / "old")
            os.replace(self._root, self._path)
            if old is not None:
                shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise explain_os_error("write to", self._path, error) from error
        self._result = ImageSet(self._path, self._records, self._lineage)

    @property
    def images(self) -> ImageSet:
        """The finished set; only after the block has ended."""
        if self._result is None:
            raise RuntimeError("the set is not finished yet")
        return self._result

    def _write(self, name: str, data: bytes) -> None:
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    @property
    def folder(self) -> Path:
        """Where the files lie until the set is published."""
        return self._root

    def reserve(self, label: str, split: str, stem: str, suffix: str) -> str:
        """A new file name, for an image that another process writes below `folder`.

        Args:
            label: class name.
            split: empty, train, val or test.
            stem: the wanted name without suffix.
            suffix: with its dot, or empty.

        Returns:
            The name relative to the set; no other image has the same apart from its suffix.
        """
        folder = "/".join(part for part in ("images", split, safe_name(label)) if part)
        wanted = f"{folder}/{safe_name(stem)[:120]}"
        name = wanted
        while name.casefold() in self._names:
            number = self._taken.get(wanted, 1) + 1
            self._taken[wanted] = number
            name = f"{wanted}-{number}"
        self._names.add(name.casefold())
        return name + suffix

    def register(self, record: ImageRecord) -> None:
        """Adds the row of an image (and mask) that lies below `folder` under a reserved name."""
        self._records.append(record)

    def _write_mask(self, file_name: str, mask: NDArray[np.bool_]) -> str:
        name = mask_name(file_name)
        buffer = io.BytesIO()
        Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
        self._write(name, buffer.getvalue())
        return name

    def add(
        self,
        pixels: NDArray[np.uint8],
        *,
        label: str,
        split: str = "",
        group: str = "",
        source: str = "",
        origin: str,
        parents: Iterable[str] = (),
        run: str = "",
        seed: int | str = "",
        licence: str = "",
        mask: NDArray[np.bool_] | None = None,
        name: str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> ImageRecord:
        """Adds an image as PNG.

        Args:
            pixels: H x W x 3, uint8.
            label: class name.
            split: empty, train, val or test.
            group: patient or case.
            source: where it comes from.
            origin: one of `ORIGINS`.
            parents: sha256 of the images it was made from.
            run: id of the generator's run.
            seed: the image's seed.
            licence: terms of use.
            mask: H x W, True inside the lesion.
            name: stem of the file's name; by default the image's number.
            extra: further columns.

        Returns:
            The new row.

        Raises:
            InputError: the disk is full or not writable.
            ValueError: the pixels, the split or the origin are not of the allowed form.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"pixels are H x W x 3 uint8, not {pixels.shape} {pixels.dtype}")
        buffer = io.BytesIO()
        # Level 3: a fifth of the default's time for some 3 % more bytes.
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=3)
        row = ImageRecord(
            file_name="",
            label=label,
            split=split,
            group=group,
            source=source,
            origin=origin,
            parents=tuple(parents),
            run=run,
            seed=str(seed),
            width=pixels.shape[1],
            height=pixels.shape[0],
            phash=perceptual_hash(pixels),
            licence=licence,
            extra=dict(extra or {}),
        )
        return self._store(
            row, buffer.getvalue(), name or f"{len(self._records):06d}", mask, ".png"
        )

    def copy(self, images: ImageSet, record: ImageRecord, **changes: Any) -> ImageRecord:
        """Copies an image and its mask from another set, byte for byte.

        Args:
            images: the set that holds it.
            record: its row there.
            **changes: fields of the row to change, such as ``split="train"``.

        Returns:
            The new row.

        Raises:
            InputError: the file cannot be read, or the disk is full.
        """
        row = replace(record, **changes)
        path = Path(record.file_name)
        return self._store(
            row, images.read_bytes(record), path.stem, images.read_mask(record), path.suffix
        )

    def _store(
        self,
        row: ImageRecord,
        data: bytes,
        stem: str,
        mask: NDArray[np.bool_] | None,
        suffix: str,
    ) -> ImageRecord:
        if row.split not in SPLITS or row.origin not in ORIGINS:
            raise ValueError(f"split '{row.split}' or origin '{row.origin}' is not allowed")
        name = self.reserve(row.label, row.split, stem, suffix)
        try:
            self._write(name, data)
            mask_name = "" if mask is None else self._write_mask(name, mask)
        except OSError as error:
            raise explain_os_error("write to", self._path, error) from error
        row = replace(row, file_name=name, mask=mask_name, sha256=hashlib.sha256(data).hexdigest())
        self._records.append(row)
        return row

    def add_lineage(self, run: str, images: Iterable[TrainingImage]) -> None:
        """Records what the generator with the id `run` learned from."""
        self._lineage[run] = tuple(sorted({*self._lineage.get(run, ()), *images}, key=str))

    def inherit(self, images: ImageSet) -> None:
        """Takes over the lineage of the generators behind another set."""
        for run, training in images.lineage.items():
            self.add_lineage(run, training)
