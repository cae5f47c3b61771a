"""Finds the images of a folder of class folders, of an image folder with a table, or of a set.

A plain folder (or a zip archive of one) is read as ``CLASS/...`` or, when its first level holds
only train, val and test, as ``SPLIT/CLASS/...``. A ``metadata.csv`` with the column
``file_name`` may name the columns of an image set. Labels are composed Unicode (NFC), so
that a folder unpacked on macOS and one unpacked elsewhere agree; files keep the names they
have on disk. Whether a file is an image is told by its name, so that a damaged photograph is
noticed, or else by its content.
"""

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hzsynth.core.ancestors import ANCESTORS, Ancestor, read_ancestors
from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import (
    COLUMNS,
    LINEAGE,
    METADATA,
    ORIGINS,
    checked_relative,
    read_training_images,
)
from hzsynth.core.image_set import ImageSet
from hzsynth.core.photos import image_size
from hzsynth.core.tables import read_table
from hzsynth.data.sources.archives import is_archive, list_members
from hzsynth.data.sources.base import IMAGE_SUFFIXES, Found, Location, Source, SourceImage

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}
_HEADER = 1 << 16


class FolderConfig(Config):
    """A folder has no settings."""


@dataclass(frozen=True)
class File:
    """A file of a tree, wherever the tree lies.

    Attributes:
        location: where its bytes are.
        name: path relative to the tree, composed Unicode, forward slashes.
    """

    location: Location
    name: str


def composed(text: str) -> str:
    """The composed Unicode form (NFC) without surrounding blanks."""
    return unicodedata.normalize("NFC", text).strip()


def is_system_name(name: str) -> bool:
    """Whether a file or folder is an operating system's own (.DS_Store, Thumbs.db, __MACOSX)."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FILES


def walk_files(root: Path, *, absolute: bool = False) -> Iterator[File]:
    """All files of a folder or a zip archive, sorted by name, without those of the system.

    Args:
        root: a folder or an archive.
        absolute: take archive members with a leading slash without it.

    Raises:
        InputError: the root is neither, or a link leads out of it.
    """
    if is_archive(root):
        for member in list_members(root, absolute=absolute):
            if not any(is_system_name(part) for part in PurePosixPath(member.name).parts):
                yield File(Location(root, member.stored), member.name)
        return
    if not root.is_dir():
        raise InputError(f"'{root}' is neither a folder nor a zip archive")
    yield from _walk_below(root, "", root, root.resolve())


def _walk_below(folder: Path, prefix: str, root: Path, inside: Path) -> Iterator[File]:
    """The files of a folder, then those of its folders; links to folders are not followed."""
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"cannot read '{folder}': {error.strerror}") from error
    below = []
    for entry in entries:
        linked = entry.is_symlink()
        if linked and not Path(entry.path).resolve().is_relative_to(inside):
            raise InputError(f"'{entry.path}' is a link that leads out of '{root}'")
        if is_system_name(entry.name):
            continue
        if entry.is_dir():
            if not linked:
                below.append(entry.name)
        else:
            yield File(Location(folder / entry.name), composed(prefix + entry.name))
    for name in below:
        yield from _walk_below(folder / name, f"{prefix}{name}/", root, inside)


def is_image(file: File) -> bool:
    """By its name, so that a damaged photograph is noticed, or else by its content."""
    if os.path.splitext(file.name)[1].casefold() in IMAGE_SUFFIXES:
        return True
    if file.location.member:
        return False
    try:
        with file.location.path.open("rb") as stream:
            image_size(stream.read(_HEADER), file.name)
    except (InputError, OSError):
        return False
    return True


def find_folder(path: Path, config: FolderConfig | None = None) -> Found:
    """Finds the images of a folder, an archive or a set (a `Source.find`).

    Raises:
        InputError: there are none, a table names a file that is not there, or an image lies
            in no class folder.
    """
    if not path.exists():
        raise InputError(f"'{path}' does not exist, expected a folder of images")
    if path.is_file() and not is_archive(path):
        raise InputError(f"'{path}' is a file, expected a folder of class folders or a zip of one")
    if path.is_dir() and (path / METADATA).is_file():
        found = _find_by_table(path)
    else:
        found = _find_by_folders(path)
    if not found.images:
        raise InputError(f"'{path}' holds no images")
    return found


def _find_by_folders(root: Path) -> Found:
    files = [file for file in walk_files(root) if is_image(file)]
    shared = _shared_folder(files) if is_archive(root) else ""
    parted = [(file, file.name.removeprefix(shared).split("/")) for file in files]
    for file, parts in parted:
        if len(parts) == 1:
            raise InputError(
                f"'{file.location}' lies in no class folder; expected '{root}/CLASS/image'"
            )
    folders = _class_folders(root, files, shared)
    if not folders:
        raise InputError(f"'{root}' holds no class folders; expected '{root}/CLASS/image'")
    with_splits = all(name.casefold() in _SPLIT_NAMES for name in folders)
    images = []
    for file, parts in parted:
        split = _SPLIT_NAMES[parts[0].casefold()] if with_splits else ""
        if with_splits and len(parts) == 2:
            raise InputError(
                f"'{file.location}' lies in no class folder; expected '{parts[0]}/CLASS/image'"
            )
        images.append(
            SourceImage(
                location=file.location,
                name=parts[-1],
                label=composed(parts[1] if with_splits else parts[0]),
                split=split,
                source=composed(root.absolute().stem if root.is_file() else root.absolute().name),
            )
        )
    if not is_archive(root):
        held = {"/".join(parts[: 2 if with_splits else 1]) for _, parts in parted}
        _refuse_empty_classes(root, folders, held, with_splits)
    return Found(tuple(images))


def _shared_folder(files: Sequence[File]) -> str:
    """The one folder that an archive's class folders lie in, with a slash; or nothing."""
    tops = {PurePosixPath(file.name).parts[0] for file in files}
    deep = all(len(PurePosixPath(file.name).parts) > 2 for file in files)
    top = next(iter(tops), "")
    lone = len(tops) == 1 and deep and top.casefold() not in _SPLIT_NAMES
    return f"{top}/" if lone else ""


def _class_folders(root: Path, files: Sequence[File], shared: str) -> list[str]:
    """Names on the first level, with folders that hold no image."""
    if is_archive(root):
        return sorted({PurePosixPath(f.name.removeprefix(shared)).parts[0] for f in files})
    return sorted(p.name for p in root.iterdir() if p.is_dir() and not is_system_name(p.name))


def _refuse_empty_classes(
    root: Path, folders: Sequence[str], held: set[str], with_splits: bool
) -> None:
    if with_splits:
        below = [path for folder in folders for path in (root / folder).iterdir() if path.is_dir()]
    else:
        below = [root / folder for folder in folders]
    for path in sorted(below):
        if (
            not is_system_name(path.name)
            and composed(path.relative_to(root).as_posix()) not in held
        ):
            raise InputError(f"the class folder '{path}' holds no images")


def _find_by_table(root: Path) -> Found:
    table = read_table(root / METADATA)
    if set(COLUMNS) <= set(table.columns):
        images = ImageSet.load(root)
        rows = [
            SourceImage(
                location=Location(images.path(record)),
                name=Path(record.file_name).name,
                label=record.label,
                split=record.split,
                group=record.group,
                source=record.source,
                origin=record.origin,
                licence=record.licence,
                parents=record.parents,
                run=record.run,
                seed=record.seed,
                mask=Location(root / record.mask) if record.mask else None,
                extra=record.extra,
            )
            for record in images
        ]
        return Found(
            tuple(rows),
            lineage=images.lineage,
            copy_evidence=images.copy_evidence,
            ancestors=(*images.ancestors, *(Ancestor.of(record) for record in images)),
        )
    lists = [f for f in sorted((root / LINEAGE).glob("*.csv")) if f.stem != ANCESTORS]
    lineage = {file.stem: read_training_images(file) for file in lists}
    rows = [
        _image_of_row(root, {str(key): str(value) for key, value in row.items()})
        for row in table.to_dict("records")
    ]
    ancestors = read_ancestors(root / LINEAGE / f"{ANCESTORS}.csv")
    return Found(tuple(rows), lineage=lineage, ancestors=ancestors)


def _image_of_row(root: Path, row: Mapping[str, str]) -> SourceImage:
    name = _name_on_disk(root, row["file_name"])
    parts = Path(row["file_name"]).parts
    split = row.get("split", "").casefold()
    if split and split not in _SPLIT_NAMES:
        raise InputError(f"'{root / METADATA}', image '{name}': unknown split '{row['split']}'")
    origin = row.get("origin", "") or "real"
    if origin not in ORIGINS:
        raise InputError(
            f"'{root / METADATA}', image '{name}': origin is one of {', '.join(ORIGINS)}, "
            f"not '{origin}'"
        )
    label = composed(row.get("label", "") or (parts[-2] if len(parts) > 1 else ""))
    if not label:
        raise InputError(f"'{root / METADATA}', image '{name}' has neither label nor class folder")
    mask = row.get("mask", "")
    return SourceImage(
        location=Location(root / name),
        name=parts[-1],
        label=label,
        split=_SPLIT_NAMES[split] if split else "",
        group=composed(row.get("group", "")),
        source=row.get("source", ""),
        origin=origin,
        licence=row.get("licence", ""),
        parents=tuple(row.get("parents", "").split()),
        run=row.get("run", ""),
        seed=row.get("seed", ""),
        mask=Location(checked_relative(root, mask)) if mask else None,
        extra={key: value for key, value in row.items() if key not in COLUMNS},
    )


def _name_on_disk(root: Path, name: str) -> str:
    """The name under which a listed file is found: composed and decomposed names are one."""
    checked_relative(root, name)
    inside = root.resolve()
    for form in (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)):
        if (root / form).is_file():
            if not (root / form).resolve().is_relative_to(inside):
                raise InputError(f"'{root / form}' is a link that leads out of '{root}'")
            return form
    raise InputError(f"'{root / METADATA}' lists '{name}', which is not there")


SOURCE = Source(
    "folder", "class folders, an image folder with a table, or a zip", FolderConfig, find_folder
)
