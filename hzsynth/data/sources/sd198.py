"""SD-198: 6,584 clinical photographs of 198 skin diseases (Sun et al., ECCV 2016).

Three layouts are in circulation: class folders below ``images/`` with ``class_idx.npy`` and
lists of splits, the tables of CUB-200 (``images.txt``, ``image_class_labels.txt``,
``classes.txt``), and a zip of class folders. The class is always that of the folder or table and
never told by the file's name: ``10266-chickenpox.jpg`` shows a keloid. Photographs
``<digits>-name.jpg`` with the same digits belong to one case.
"""

import io
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from pydantic import Field, field_validator

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
    straddling_remark,
)

NAME = "SD-198"
IMAGES, CLASSES = 6584, 198
LICENCE = "SD-198: research and academic use, on request"
_EXPECTED = "SD-198: images/CLASS/..., the tables of CUB-200, or a zip of class folders"
_CUB = ("images.txt", "image_class_labels.txt", "classes.txt")
_MAX_INDEX_BYTES = 16 * 2**20


class Sd198Config(Config):
    """Settings of SD-198."""

    split: str = Field(
        "none",
        description="none, or a published split such as 8_2/0 (8_2_split/train_0.txt, val_0.txt)",
    )

    @field_validator("split")
    @classmethod
    def _known_form(cls, value: str) -> str:
        if not re.fullmatch(r"none|[1-9]_[1-9]/\d{1,2}", value, re.ASCII):
            raise ValueError("none, or a published split such as 8_2/0")
        return value


def find_sd198(path: Path, config: Sd198Config) -> Found:
    """Finds the images of SD-198 (a `Source.find`).

    Raises:
        InputError: no known layout is there, a list is damaged, or the split is not there.
    """
    tree = open_tree(path, _EXPECTED)
    found = _by_tables(tree) if all(map(tree.named, _CUB)) else _by_folders(tree)
    if not found.images:
        raise InputError(f"'{path}' holds no images in class folders, expected {_EXPECTED}")
    found = _with_split(tree, found, config.split)
    classes = len({image.label for image in found.images})
    remarks = (
        *tree.remarks,
        *found.remarks,
        *straddling_remark(found.images),
        *count_remark("images", len(found.images), IMAGES),
        *count_remark("classes", classes, CLASSES),
    )
    return replace(found, remarks=remarks)


def case_of(name: str, data_set: str) -> str:
    """The case of a photograph ``<5-6 digits>-name``; empty for every other name."""
    match = re.match(r"(\d{5,6})-", name)
    return f"{data_set}/{match[1]}" if match else ""


def _image(file: File, label: str) -> SourceImage:
    name = PurePosixPath(file.name).name
    return SourceImage(
        location=file.location,
        name=name,
        label=composed(label),
        group=case_of(name, NAME),
        source=NAME,
        licence=LICENCE,
        extra={"published_path": "/".join(PurePosixPath(file.name).parts[-2:])},
    )


def _by_folders(tree: Tree) -> Found:
    parted = [(file, PurePosixPath(file.name).parts) for file in tree.images]
    below = [(f, p) for f, p in parted if len(p) > 2 and p[-3].casefold() == "images"]
    if not below:
        depths = Counter(len(parts) for _, parts in parted if len(parts) > 1)
        depth = depths.most_common(1)[0][0] if depths else 0
        below = [(file, parts) for file, parts in parted if len(parts) == depth]
        if all(parts[-2].casefold() == "images" for _, parts in below):
            return Found(())
    taken = {file.name for file, _ in below}
    stray = [file.name for file, _ in parted if file.name not in taken]
    images = tuple(_image(file, parts[-2]) for file, parts in below)
    remarks = named_remark(stray, "images lie in no class folder and are left out")
    return Found(images, (*remarks, *_index_remarks(tree, {image.label for image in images})))


def _index_remarks(tree: Tree, folders: set[str]) -> tuple[str, ...]:
    file = tree.named("class_idx.npy")
    if file is None:
        return ()
    names = _index_names(file)
    if names is None:
        # An object array is a pickle, and a pickle runs what its writer wants.
        return (
            "class_idx.npy holds Python objects and is not opened: classes are named by folders",
        )
    differing = sorted(names ^ folders)
    return named_remark(differing, "classes are either in class_idx.npy or a folder, not both")


def _index_names(file: File) -> set[str] | None:
    """The class names in ``class_idx.npy``; None when it cannot be opened safely."""
    try:
        rows = np.load(io.BytesIO(file.location.read(_MAX_INDEX_BYTES)), allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError):
        return None
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind != "U":
        return None
    return {composed(str(row[0])) for row in rows}


def _by_tables(tree: Tree) -> Found:
    paths, numbers, names = (_table(tree, name) for name in _CUB)
    lookup = Lookup(tree.images)
    images, missing = [], []
    for key, listed in paths.items():
        try:
            label = _class_name(names[numbers[key]])
        except KeyError:
            raise InputError(f"'{tree.root}': image {key} of images.txt has no class") from None
        file = lookup.find(listed, keep=2)
        if file is None:
            missing.append(listed)
        else:
            images.append(_image(file, label))
    taken = {image.location for image in images}
    extra = [file.name for file in tree.images if file.location not in taken]
    remarks = (
        *named_remark(missing, "listed files are missing"),
        *named_remark(extra, "images are not listed and are left out"),
    )
    return Found(tuple(images), remarks)


def _class_name(name: str) -> str:
    # CUB-200 numbers its classes, "082.Name".
    return re.sub(r"^\d{1,3}\.(?=\D)", "", name)


def _table(tree: Tree, name: str) -> dict[str, str]:
    """The lines ``<number> <value>`` of a table; the value may hold spaces."""
    file = tree.named(name)
    assert file is not None
    rows = {}
    for number, line in enumerate(read_text(file).splitlines(), 1):
        parts = line.split(maxsplit=1)
        if len(parts) == 2:
            rows[parts[0]] = parts[1].strip()
        elif parts:
            raise InputError(
                f"'{file.location}', line {number}: expected '<number> <value>', not '{line[:80]}'"
            )
    return rows


def _with_split(tree: Tree, found: Found, split: str) -> Found:
    """Takes over a split, and compares the images with the lists."""
    folds = _folds(tree)
    if split != "none" and split not in folds:
        there = ", ".join(folds) or "none"
        raise InputError(f"'{tree.root}' has no split '{split}'; there are: {there}")
    if not folds:
        return found
    lists = folds[split if split != "none" else next(iter(folds))]
    lookup = Lookup(tree.images)
    labels = {image.location: image.label for image in found.images}
    parts: dict[Location, str] = {}
    missing: list[str] = []
    numbers: dict[int, Counter[str]] = {}
    for part, file in lists.items():
        for name, number in read_numbered(file):
            target = lookup.find(name, keep=2)
            if target is None or target.location not in labels:
                missing.append(name)
                continue
            parts.setdefault(target.location, part)
            numbers.setdefault(number, Counter())[labels[target.location]] += 1
    odd = [label for counts in numbers.values() for label, _ in counts.most_common()[1:]]
    unlisted = [i.extra["published_path"] for i in found.images if i.location not in parts]
    what = "images are in none of the published lists"
    images = found.images
    if split != "none":
        images = tuple(
            replace(image, split=parts[image.location])
            for image in images
            if image.location in parts
        )
        what += " and are left out"
    remarks = (
        *found.remarks,
        *named_remark(missing, "files of the published lists are missing"),
        *named_remark(odd, "classes share their number in the lists with another class"),
        *named_remark(unlisted, what),
    )
    return Found(images, remarks)


def _folds(tree: Tree) -> dict[str, dict[str, File]]:
    """The published splits, such as ``8_2/0``, with both lists."""
    lists: dict[str, dict[str, File]] = {}
    for file in tree.files:
        match = re.search(r"(?:^|/)(\d_\d)_split/(train|val)_(\d+)\.txt$", file.name)
        if match:
            lists.setdefault(f"{match[1]}/{match[3]}", {})[match[2]] = file
    # 8_2 before 5_5: the one that most papers use.
    order = sorted(lists, key=lambda name: (not name.startswith("8_2"), name))
    return {name: lists[name] for name in order if len(lists[name]) == 2}


SOURCE = Source("sd198", "SD-198, folder or zip", Sd198Config, find_sd198)
