"""SD-260: 20,600 clinical photographs of 260 skin diseases (Yang et al., 2019), on request.

``train.txt`` and ``val.txt`` list ``<path> <number of the class>``, counted from zero. The names of
the classes are not in the lists: they come from a file that the user names, from
``classes.txt``, from the folders when each number has a folder of its own, or are
``class-<number>``. SD-260 overlaps SD-198: deduplicate after the two are merged.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.data.sources.base import Found, Location, Source, SourceImage
from hzsynth.data.sources.folder import File, composed
from hzsynth.data.sources.published import (
    Lookup,
    Tree,
    count_remark,
    named_remark,
    open_tree,
    read_numbered,
    read_text,
    relative_parts,
    straddling_remark,
)
from hzsynth.data.sources.sd198 import case_of

NAME = "SD-260"
IMAGES, CLASSES = 20600, 260
LICENCE = "SD-260: research and academic use, on request"
_EXPECTED = "SD-260: images/ with train.txt and val.txt beside it"


class Sd260Config(Config):
    """Settings of SD-260."""

    split: Literal["none", "published"] = Field(
        "none", description="none, or published: as train.txt and val.txt say"
    )
    classes: Path | None = Field(
        None, description="names of the classes: lines of '<number> <name>', or one name a line"
    )


@dataclass(frozen=True)
class _Line:
    """A line of a list: the part of the split, the path and the class's number."""

    part: str
    path: str
    number: int


def find_sd260(path: Path, config: Sd260Config) -> Found:
    """Finds the images of SD-260 (a `Source.find`).

    Raises:
        InputError: no list is there, a list or the class file is damaged, or a class has no name.
    """
    tree = open_tree(path, _EXPECTED)
    lists = {part: file for part in ("train", "val") if (file := tree.named(f"{part}.txt"))}
    if not lists:
        raise InputError(f"'{path}' has neither train.txt nor val.txt, expected {_EXPECTED}")
    lines = [_Line(part, *row) for part, file in lists.items() for row in read_numbered(file)]
    matched, problems = _matched(tree, lines)
    if not matched:
        raise InputError(f"'{path}' holds none of the {len(lines)} listed images; {_EXPECTED}")
    names, remark = _names(tree, config.classes, lines)
    images = tuple(
        SourceImage(
            location=file.location,
            name=PurePosixPath(file.name).name,
            label=names[line.number],
            split=line.part if config.split == "published" else "",
            group=case_of(PurePosixPath(file.name).name, NAME),
            source=NAME,
            licence=LICENCE,
            extra={"published_number": str(line.number)},
        )
        for file, line in matched
    )
    remarks = (
        *tree.remarks,
        *(f"{part}.txt is missing" for part in ("train", "val") if part not in lists),
        *remark,
        *problems,
        *straddling_remark(images),
        *count_remark("images", len(images), IMAGES),
        *count_remark("classes", len({line.number for _, line in matched}), CLASSES),
    )
    return Found(images, remarks)


def _matched(
    tree: Tree, lines: Sequence[_Line]
) -> tuple[list[tuple[File, _Line]], tuple[str, ...]]:
    """Every listed image with its line, and remarks on files and lines without the other."""
    lookup = Lookup(tree.images)
    matched: dict[Location, tuple[File, _Line]] = {}
    missing, repeated = [], []
    for line in lines:
        # "images/" is no class folder: without it, a file's name alone must agree.
        parts = relative_parts(line.path)
        file = lookup.find(line.path, keep=1 if parts[:-1] in ((), ("images",)) else 2)
        if file is None:
            missing.append(line.path)
        elif file.location in matched:
            repeated.append(line.path)
        else:
            matched[file.location] = file, line
    extra = [file.name for file in tree.images if file.location not in matched]
    return list(matched.values()), (
        *named_remark(missing, "listed files are missing"),
        *named_remark(repeated, "images are listed more than once, the first line counts"),
        *named_remark(extra, "images are not listed and are left out"),
    )


def _names(
    tree: Tree, given: Path | None, lines: Sequence[_Line]
) -> tuple[dict[int, str], tuple[str, ...]]:
    """The name of every class that occurs, and a remark on where the names come from."""
    used = {line.number for line in lines}
    file = File(Location(given), str(given)) if given else tree.named("classes.txt")
    if file is not None:
        names = _read_names(file)
        lacking = sorted(used - set(names))
        if lacking:
            raise InputError(f"'{file.location}' has no name for class {lacking[0]}")
        return names, ()
    folders: dict[int, set[str]] = {}
    for line in lines:
        folder = "".join(relative_parts(line.path)[-2:-1])
        folders.setdefault(line.number, set()).add(folder)
    flat = {next(iter(names)) for names in folders.values() if len(names) == 1}
    if len(flat) == len(folders) > 1 and not any(re.fullmatch(r"\d*|images", n) for n in flat):
        return (
            {number: next(iter(names)) for number, names in folders.items()},
            ("there is no file of class names: classes are named by their folders",),
        )
    return (
        {number: f"class-{number}" for number in used},
        (
            "there are no names of classes: name a file of them in the setting `classes`, "
            "or rename the classes with a class map",
        ),
    )


def _read_names(file: File) -> dict[int, str]:
    """Number -> name, of lines ``<number> <name>``, ``<number>,<name>`` or ``<name>``."""
    lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    pairs = [re.fullmatch(r"(\d+)(?:\s*[,\t;]\s*|\s+)(.+)", line) for line in lines]
    rows = [(int(pair[1]), pair[2]) for pair in pairs if pair is not None]
    header = len(lines) - len(rows)
    if not rows:
        rows = list(enumerate(lines))
    elif header > 1 or (header == 1 and pairs[0] is not None):
        odd = next(line for line, pair in zip(lines, pairs, strict=True) if pair is None)
        raise InputError(f"'{file.location}': expected '<number> <name>', not '{odd[:80]}'")
    names = {
        number: composed(next(csv.reader([name], skipinitialspace=True))[0])
        for number, name in rows
    }
    if len(names) != len(rows) or len(set(names.values())) != len(rows):
        raise InputError(f"'{file.location}' names a class or a number twice")
    return names


SOURCE = Source("sd260", "SD-260, a folder with train.txt and val.txt", Sd260Config, find_sd260)
