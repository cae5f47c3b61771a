"""Reads zip archives of any origin without unpacking them to disk.

Names are decoded as their writer meant them, members that lead out of the archive are refused,
and no more of a member is unpacked than a photograph can have. Nothing is ever written
under a member's name.
"""

import stat
import unicodedata
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from hzsynth.core.errors import InputError

MAX_MEMBERS = 4_000_000
_UTF8_FLAG = 0x800
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        stored: its name as the archive stores it, to read it by.
        name: its name as its writer meant it: decoded, composed (NFC), forward slashes.
        size: bytes when unpacked, as declared.
    """

    stored: str
    name: str
    size: int


def is_archive(path: Path) -> bool:
    """Whether a path is a zip archive, told by its content."""
    return path.is_file() and zipfile.is_zipfile(path)


def list_members(path: Path, *, absolute: bool = False) -> tuple[Member, ...]:
    """The files in an archive, sorted by name; folders are left out.

    Args:
        path: the archive.
        absolute: take names with a leading slash, as some publishers write them, without it.

    Raises:
        InputError: it is no zip archive, it is damaged or encrypted, or a member is a link or
            has a name that leads out of the archive.
    """
    members = []
    with _opened(path) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_MEMBERS:
            raise InputError(f"'{path}' has {len(entries)} members, allowed are {MAX_MEMBERS}")
        for entry in entries:
            name = _decoded(entry)
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise InputError(
                    f"'{path}' holds a symbolic link, '{name}': links are not followed"
                )
            if absolute:
                name = name.lstrip("/")
            _refuse_outside(path, name)
            if entry.is_dir() or name.endswith("/"):
                continue
            if entry.flag_bits & 0x1:
                raise InputError(f"'{path}' is encrypted ('{name}'); unpack it first")
            members.append(Member(entry.filename, name, entry.file_size))
    return tuple(sorted(members, key=lambda m: m.name))


def read_member(path: Path, stored: str, limit: int) -> bytes:
    """Unpacks one member in memory.

    Args:
        path: the archive.
        stored: the member's `Member.stored` name.
        limit: most bytes that are unpacked, whatever the archive declares.

    Raises:
        InputError: there is no such member, it is damaged, or larger than `limit` bytes.
    """
    too_large = f"'{path}:{stored}' unpacks to more than {limit >> 20} MB, no photograph does"
    try:
        archive = _kept_open(path)
        if archive.getinfo(stored).file_size > limit:
            raise InputError(too_large)
        with archive.open(stored) as member:
            data = member.read(limit + 1)
    except KeyError:
        raise InputError(f"'{path}' has no member '{stored}'") from None
    except _DAMAGE as error:
        raise InputError(f"'{path}:{stored}' is damaged: {error}") from error
    if len(data) > limit:
        raise InputError(too_large)
    return data


def read_start(path: Path, stored: str, size: int) -> bytes:
    """The first bytes of a member, at most `size`; the rest is not unpacked.

    Raises:
        InputError: there is no such member, or it is damaged.
    """
    try:
        with _kept_open(path).open(stored) as member:
            return member.read(size)
    except KeyError:
        raise InputError(f"'{path}' has no member '{stored}'") from None
    except _DAMAGE as error:
        raise InputError(f"'{path}:{stored}' is damaged: {error}") from error


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise InputError(f"'{path}' is no zip archive that can be read: {error}") from error


@lru_cache(maxsize=8)
def _kept_open(path: Path) -> zipfile.ZipFile:
    # One process reads thousands of members: the table of contents is parsed once.
    return _opened(path)


def _decoded(entry: zipfile.ZipInfo) -> str:
    name = entry.orig_filename
    if not entry.flag_bits & _UTF8_FLAG:
        # Without the flag Python assumed CP437. macOS writes UTF-8 nevertheless, Korean Windows
        # CP949; a name in CP949 is hardly ever valid UTF-8, so that is tried first.
        for encoding in ("utf-8", "cp949"):
            with suppress(UnicodeError):
                name = name.encode("cp437").decode(encoding)
                break
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _refuse_outside(path: Path, name: str) -> None:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or ":" in name[:3] or "\x00" in name:
        raise InputError(f"'{path}' holds a member with a name that leads out of it: '{name}'")
