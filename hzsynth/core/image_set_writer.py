"""The writer of an ImageSet: into a sibling folder, renamed when everything is there."""

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hzsynth.core.ancestors import ANCESTORS, Ancestor, ancestors_csv, needed
from hzsynth.core.copy_evidence import COPIES, CopyEvidence
from hzsynth.core.errors import InputError
from hzsynth.core.files import explain_os_error
from hzsynth.core.image_files import (
    CopyOrder,
    copy_files,
    encode_mask,
    encode_png,
    mask_name,
    write_below,
)
from hzsynth.core.image_record import (
    LINEAGE,
    METADATA,
    ORIGINS,
    SPLITS,
    ImageRecord,
    TrainingImage,
    checked_relative,
    metadata_csv,
    training_images_csv,
)
from hzsynth.core.image_set import ImageSet
from hzsynth.core.partial import PartialFolder, carry_out
from hzsynth.core.phash import perceptual_hash
from hzsynth.core.progress import SILENT, Progress

_NOT_IN_NAMES = str.maketrans(dict.fromkeys('/\\:*?"<>|\x00\n\r\t', "_"))


def safe_name(text: str) -> str:
    """A file or folder name from a label: composed Unicode, without separators or controls."""
    name = unicodedata.normalize("NFC", text).translate(_NOT_IN_NAMES).strip(" .")
    return name or "_"


def refuse_existing(path: Path | str, force: bool = False, marker: str = METADATA) -> None:
    """Refuses an output that already holds something.

    Args:
        path: the output folder.
        force: whether what is there may be replaced, when hzsynth has written it.
        marker: file that hzsynth's folders of this kind hold.

    Raises:
        InputError: the place is taken, or its parent cannot be written to.
    """
    path = Path(path)
    if path.exists():
        if not path.is_dir():
            raise InputError(f"`out` '{path}' is a file, expected a new folder")
        taken = any(path.iterdir())
        if taken and not (force and (path / marker).is_file()):
            raise InputError(
                f"`out` '{path}' already exists and is not empty; name a new folder"
                + (" or use `force`" if (path / marker).is_file() else "")
            )
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK):
        raise InputError(f"cannot write to '{path}': no permission in '{parent}'")


def _check_pixels(pixels: NDArray[np.uint8]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels are H x W x 3 uint8, not {pixels.shape} {pixels.dtype}")


class ImageSetWriter:
    """Writes a new ImageSet; nothing appears at `path` until the block ends without an error.

    Args:
        path: the new set's folder.
        force: replace a set that is already there.
        key: stands for inputs and settings: after a kill or ctrl-C the same command goes on
            where it stopped (see `core.partial`); empty starts anew.

    Raises:
        InputError: the place is taken or cannot be written to.
    """

    def __init__(self, path: Path | str, force: bool = False, key: str = "") -> None:
        path = Path(path)
        refuse_existing(path, force)
        self._path, self._key = path, key
        self._records: list[ImageRecord] = []
        self._lineage: dict[str, tuple[TrainingImage, ...]] = {}
        self._copy_evidence: dict[str, CopyEvidence] = {}
        self._known: dict[Ancestor, None] = {}
        self._names: set[str] = set()
        self._taken: dict[str, int] = {}
        self._result: ImageSet | None = None

    def __enter__(self) -> Self:
        try:
            self._partial = PartialFolder(self._path, self._key)
        except OSError as error:
            raise explain_os_error("write to", self._path, error) from error
        self._root = self._partial.root
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
            self._partial.close(keep=isinstance(error, KeyboardInterrupt))
        if isinstance(error, OSError):
            raise explain_os_error("write to", self._path, error) from error

    def _publish(self) -> None:
        try:
            write_below(self._root, METADATA, metadata_csv(self._records).encode())
            for run, images in self._lineage.items():
                write_below(
                    self._root, f"{LINEAGE}/{run}.csv", training_images_csv(images).encode()
                )
            for name, search in self._copy_evidence.items():
                write_below(self._root, f"{COPIES}/{name}.csv", search.to_csv().encode())
            ancestors = needed(self._records, self._known, self._copy_evidence.values())
            if ancestors:
                name = f"{LINEAGE}/{ANCESTORS}.csv"
                write_below(self._root, name, ancestors_csv(ancestors).encode())
            self._partial.publish(self._path)
        except OSError as error:
            raise explain_os_error("write to", self._path, error) from error
        self._result = self._set_at(self._path)

    def _set_at(self, path: Path) -> ImageSet:
        return ImageSet(
            path,
            self._records,
            self._lineage,
            self._copy_evidence.values(),
            needed(self._records, self._known, self._copy_evidence.values()),
        )

    @property
    def done(self) -> dict[str, ImageRecord]:
        """Rows of images that an interrupted process has made already, by file name."""
        return self._partial.done

    @property
    def images(self) -> ImageSet:
        """The finished set; only after the block has ended."""
        if self._result is None:
            raise RuntimeError("the set is not finished yet")
        return self._result

    @property
    def unpublished(self) -> ImageSet:
        """The set as it is so far, where it lies until it is published."""
        return self._set_at(self._root)

    @property
    def folder(self) -> Path:
        """Where the files lie until the set is published."""
        return self._root

    @property
    def records(self) -> tuple[ImageRecord, ...]:
        """The rows so far."""
        return tuple(self._records)

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
        self._partial.note(record)
        self._records.append(record)

    def attach(self, name: str, data: bytes) -> None:
        """Adds a file that is no image of the set, such as its card.

        Raises:
            InputError: the disk is full or not writable.
        """
        try:
            write_below(self._root, name, data)
        except OSError as error:
            raise explain_os_error("write to", self._path, error) from error

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
        _check_pixels(pixels)
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
        stem = name or f"{len(self._records):06d}"
        return self._store(row, encode_png(pixels), stem, mask, ".png")

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
        self.attach(name, data)
        if mask is not None:
            self.attach(mask_name(name), encode_mask(mask))
        row = replace(
            row,
            file_name=name,
            mask="" if mask is None else mask_name(name),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        self._records.append(row)
        return row

    def copy_all(
        self,
        images: ImageSet,
        changes: Iterable[tuple[ImageRecord, Mapping[str, Any]]],
        *,
        workers: int = 0,
        progress: Progress = SILENT,
    ) -> None:
        """Copies many images and their masks, byte for byte, by several processes.

        Args:
            images: the set that holds them.
            changes: rows there, each with the fields to change, such as ``{"split": "train"}``.
            workers: processes; 0 takes every available processor.
            progress: where progress is shown.

        Raises:
            InputError: a file cannot be read or is no longer what it was, or the disk is full.
        """
        orders: list[CopyOrder] = []
        for record, change in changes:
            path = Path(record.file_name)
            row = replace(record, **change)
            name = self.reserve(row.label, row.split, path.stem, path.suffix)
            mask = checked_relative(images.root, record.mask) if record.mask else None
            row = replace(row, file_name=name, mask=mask_name(name) if mask else "")
            orders.append(CopyOrder(images.path(record), mask, self._root, row))
        copied = carry_out(
            orders,
            copy_files,
            self.done,
            workers=workers,
            progress=progress,
            description="copying",
        )
        for result in copied:
            if isinstance(result, str):
                raise InputError(result)
            self.register(result)

    def add_lineage(self, run: str, images: Iterable[TrainingImage]) -> None:
        """Records what the generator with the id `run` learned from."""
        self._lineage[run] = tuple(sorted({*self._lineage.get(run, ()), *images}, key=str))

    def add_copy_evidence(self, search: CopyEvidence) -> None:
        """Records what a search for copies has found, so that no later one looks again."""
        self._copy_evidence[search.name] = search

    def add_known(self, rows: Iterable[Ancestor]) -> None:
        """Tells of images that may stand behind those of the set; what does travels with it."""
        self._known.update(dict.fromkeys(rows))

    def inherit(self, images: ImageSet) -> None:
        """Takes over what another set knows: its images, those behind them, lists, and copies."""
        self.add_known(Ancestor.of(record) for record in images)
        self.add_known(images.ancestors)
        for run, training in images.lineage.items():
            self.add_lineage(run, training)
        for search in images.copy_evidence:
            self.add_copy_evidence(search)
