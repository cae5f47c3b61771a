"""What the published data sets have in common: a tree of files, tables, lists and counts.

A listed file is looked up among the files that were found, and never opened by the name in
the list: a list can therefore not lead out of the data set.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from hzsynth.core.errors import InputError
from hzsynth.data.sources.archives import is_archive
from hzsynth.data.sources.base import IMAGE_SUFFIXES, SourceImage
from hzsynth.data.sources.folder import File, composed, is_image, walk_files

MAX_TABLE_BYTES = 256 * 2**20
_NO_IMAGES = {".json", ".csv", ".txt", ".npy", ".zip", ".md", ".toml", ".xlsx", ".pdf", ".html"}
_SHOWN = 4


def as_list(value: object) -> object:
    """One value of a setting that takes several; KEY=A,B arrives as a list already."""
    return [value] if isinstance(value, str | int) else value


@dataclass(frozen=True)
class Tree:
    """The files of a published data set, wherever they lie.

    Attributes:
        root: the folder or archive.
        files: sorted by name; a member of an archive inside the folder has the archive's name
            without suffix before its own.
        remarks: archives that were not opened.
    """

    root: Path
    files: tuple[File, ...]
    remarks: tuple[str, ...] = ()

    @cached_property
    def images(self) -> tuple[File, ...]:
        """The files that are images."""
        return tuple(
            file for file in self.files if suffix(file) not in _NO_IMAGES and is_image(file)
        )

    def named(self, name: str) -> File | None:
        """The file with a path that ends so, in any case; the least deep of several."""
        end = f"/{name}".casefold()
        found = [file for file in self.files if f"/{file.name}".casefold().endswith(end)]
        return min(found, key=lambda file: (file.name.count("/"), file.name), default=None)


def suffix(file: File) -> str:
    """The suffix of a file's name in small letters, with its dot."""
    return PurePosixPath(file.name).suffix.casefold()


def open_tree(root: Path, expected: str, *, all_archives: bool = False) -> Tree:
    """Lists the files of a folder, an archive, or a folder that holds archives.

    Args:
        root: a folder or an archive.
        expected: what the data set looks like, for messages.
        all_archives: open archives inside the folder even where pictures lie beside them.

    Raises:
        InputError: there is no such folder or archive, or a link or member leads out of it.
    """
    if not root.exists():
        raise InputError(f"'{root}' does not exist, expected {expected}")
    if is_archive(root):
        return Tree(root, tuple(walk_files(root, absolute=True)))
    if root.is_file():
        raise InputError(f"'{root}' is a file and no zip archive, expected {expected}")
    files = list(walk_files(root))
    archives = [file for file in files if suffix(file) == ".zip" and is_archive(file.location.path)]
    unpacked = any(suffix(file) in IMAGE_SUFFIXES for file in files)
    if archives and unpacked and not all_archives:
        names = ", ".join(f"'{file.name}'" for file in archives[:_SHOWN])
        remark = f"pictures lie beside the archives {names}, which are not opened"
        return Tree(root, tuple(files), (remark,))
    for archive in archives:
        below = archive.name[: -len(".zip")]
        files += [
            File(member.location, f"{below}/{member.name}")
            for member in walk_files(archive.location.path, absolute=True)
        ]
    return Tree(root, tuple(sorted(files, key=lambda file: file.name)))


class Lookup:
    """Finds the files that a list names, by as many folders of their path as agree.

    Args:
        files: the files.
    """

    def __init__(self, files: Iterable[File]) -> None:
        self._ends: dict[str, list[File]] = {}
        for file in files:
            parts = PurePosixPath(file.name).parts
            for start in range(len(parts)):
                self._ends.setdefault("/".join(parts[start:]).casefold(), []).append(file)

    def find(self, listed: str, keep: int) -> File | None:
        """The file that is meant.

        Args:
            listed: its path in the list.
            keep: how many parts of the path, from its end, must agree at least.

        Returns:
            The file; None when there is none, or when there are several.

        Raises:
            InputError: the path is absolute or leads upwards.
        """
        parts = relative_parts(listed)
        for start in range(max(1, len(parts) - keep + 1)):
            files = self._ends.get("/".join(parts[start:]).casefold(), [])
            if len(files) == 1:
                return files[0]
            if files:
                # The path as it is listed, where copies lie deeper.
                depth = [len(PurePosixPath(file.name).parts) for file in files]
                least = [f for f, d in zip(files, depth, strict=True) if d == min(depth)]
                return least[0] if len(least) == 1 else None
        return None


def relative_parts(listed: str) -> tuple[str, ...]:
    """The parts of a listed path, composed, with either kind of slash.

    Raises:
        InputError: it is empty, absolute, or leads upwards.
    """
    name = composed(listed).replace("\\", "/")
    parts = tuple(part for part in PurePosixPath(name).parts if part != ".")
    if not parts or name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
        raise InputError(f"a list names a file outside of its data set: '{listed}'")
    return parts


def read_text(file: File) -> str:
    """The text of a file, UTF-8 with or without mark, or CP949.

    Raises:
        InputError: it cannot be read, or it is neither.
    """
    data = file.location.read(MAX_TABLE_BYTES)
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"'{file.location}' is neither UTF-8 nor CP949 text")


def read_rows(file: File, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV table, every value as text.

    Args:
        file: the table.
        columns: those that it must have.

    Raises:
        InputError: it cannot be read or lacks a column.
    """
    reader = csv.DictReader(io.StringIO(read_text(file), newline=""))
    try:
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"'{file.location}' lacks the columns {', '.join(missing)}")
        return [{k: v or "" for k, v in row.items() if isinstance(k, str)} for row in reader]
    except csv.Error as error:
        raise InputError(f"'{file.location}' is not a CSV table: {error}") from error


def read_numbered(file: File) -> list[tuple[str, int]]:
    """The lines ``<path> <number>`` of a list; the path may hold spaces.

    Raises:
        InputError: it cannot be read, or a line has another form.
    """
    rows = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        parts = line.rsplit(maxsplit=1)
        if len(parts) != 2 or not re.fullmatch(r"\d{1,9}", parts[1], re.ASCII):
            raise InputError(
                f"'{file.location}', line {number}: expected '<path> <number>', not '{line[:80]}'"
            )
        rows.append((parts[0].strip(), int(parts[1])))
    return rows


def named_remark(names: Sequence[str], what: str) -> tuple[str, ...]:
    """A remark on files, with their number and the first; none when there are none."""
    return (f"{len(names)} {what}, the first is '{names[0]}'",) if names else ()


def count_remark(what: str, found: int, published: int) -> tuple[str, ...]:
    """A remark when a count is not the published one."""
    return () if found == published else (f"{found} {what} are here, published are {published}",)


def straddling_remark(images: Iterable[SourceImage]) -> tuple[str, ...]:
    """A remark on groups that a published split tears apart, which no training accepts."""
    parts: dict[str, set[str]] = {}
    for image in images:
        if image.group and image.split:
            parts.setdefault(image.group, set()).add(image.split)
    torn = sorted(group for group, splits in parts.items() if len(splits) > 1)
    return named_remark(torn, "cases lie on both sides of the published split")
