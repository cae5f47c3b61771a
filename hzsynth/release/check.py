"""Checks a release before it is handed over, or after it has arrived."""

import csv
import hashlib
import io
import re
from pathlib import Path

from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.files import explain_os_error
from hzsynth.core.image_record import METADATA
from hzsynth.release.plain_png import png_problem

SUMS = "SHA256SUMS"
_TEXTS = ("README.md", METADATA, "metrics.json", "checklist.en.md", "checklist.ko.md")
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_IMAGE = re.compile(r"images/[0-9]{6,}\.png")
_EMPTY = ("split", "group", "parents", "run", "seed", "licence", "mask")
_SHOWN = 5


def verify_release(folder: Path) -> int:
    """Checks sums, that nothing else lies there, and that every file is what it may be.

    Args:
        folder: the bundle.

    Returns:
        How many files were checked.

    Raises:
        InputError: there is no bundle, or it cannot be read.
        RefusedError: what was found, in one sentence.
    """
    try:
        listed = _read_sums(folder)
        problems = _problems(folder, listed)
    except OSError as error:
        raise explain_os_error("read", folder, error) from error
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise RefusedError(
            f"'{folder}' must not be handed over: {'; '.join(problems[:_SHOWN])}{more}"
        )
    return len(listed)


def _read_sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS
    if not path.is_file() or path.is_symlink():
        raise InputError(f"'{folder}' is not a release: it has no {SUMS}")
    listed = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise InputError(f"'{path}' is damaged: {line[:80]!r} is no checksum and name")
        listed[found[2]] = found[1]
    return listed


def _problems(folder: Path, listed: dict[str, str]) -> list[str]:
    present = {}
    problems = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            problems.append(f"{name} is a link")
        elif path.is_dir():
            if name != "images":
                problems.append(f"{name} is a folder that does not belong here")
        elif name != SUMS:
            present[name] = path
    problems += [f"{name} is missing" for name in sorted(set(listed) - set(present))]
    problems += [f"{name} is missing from {SUMS}" for name in _TEXTS if name not in listed]
    for name, path in present.items():
        data = path.read_bytes()
        if name not in listed:
            problems.append(f"{name} is not in {SUMS}{_weights(data)}")
        elif hashlib.sha256(data).hexdigest() != listed[name]:
            problems.append(f"{name} has changed")
        else:
            problem = _file_problem(name, data)
            if problem:
                problems.append(f"{name} {problem}")
    if METADATA in present:
        problems += _table_problems(present[METADATA], {n for n in listed if n not in _TEXTS})
    return problems


def _file_problem(name: str, data: bytes) -> str:
    if _IMAGE.fullmatch(name):
        return png_problem(data)
    if name not in _TEXTS:
        return f"does not belong in a release{_weights(data)}"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"is no text{_weights(data)}"
    return "holds control characters" if "\x00" in text else ""


def _weights(data: bytes) -> str:
    """A remark where a file looks like what a network is stored in."""
    pickled = data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    zipped = data.startswith((b"PK\x03\x04", b"\x1f\x8b", b"\x89HDF"))
    if pickled or zipped or data[8:9] == b"{":
        return " (a pickle, an archive or safetensors: such files may hold weights)"
    return ""


def _table_problems(path: Path, images: set[str]) -> list[str]:
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        names = [row["file_name"] for row in rows]
        told = sorted({key for row in rows for key in _EMPTY if row[key]})
    except (UnicodeDecodeError, KeyError, csv.Error) as error:
        return [f"{METADATA} is no table of a release: {error}"]
    problems = [f"{METADATA} tells {key}, which may name patients or sources" for key in told]
    if len(names) != len(set(names)) or set(names) != images:
        problems.append(f"{METADATA} and the images do not agree")
    return problems
