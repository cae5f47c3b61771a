"""DermNet as it lies on Kaggle, and the "Skin Disease Dataset" of eight classes beside it.

DermNet's 23 folders are chapters of an atlas, not diagnoses: herpes zoster is
``herpes-zoster-N.jpg`` inside "Warts Molluscum and other Viral Infections", beside warts and
chickenpox. The diagnosis is therefore taken from the file's name without its number, and
the chapter is kept in the column ``chapter``; a file whose name names no diagnosis keeps the
chapter as its label. In the set of eight classes the folder is the diagnosis.

The split of either tree is not taken over unless asked for: copies of the same photograph lie on
both sides of it (165 of the 234 test images of the set of eight classes).
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.data.sources.base import Found, Source, SourceImage
from hzsynth.data.sources.folder import File, composed
from hzsynth.data.sources.published import count_remark, named_remark, open_tree

NAME, EIGHT = "DermNet", "Skin Disease Dataset"
CHAPTERS, EIGHT_CLASSES, EIGHT_TEST, SHINGLES = 23, 8, 234, 163
LICENCE = "DermNet: images belong to DermNet, terms of use on its site"
EIGHT_LICENCE = "Kaggle Skin Disease Dataset: origin and terms of the photographs not stated"
_EXPECTED = "{train,test}/CHAPTER/..., or {train_set,test_set}/CLASS/..."
_SPLITS = {"train": "train", "train_set": "train", "test": "test", "test_set": "test"}
_EIGHT_CLASS = re.compile(r"(BA|FU|PA|VI)-", re.IGNORECASE)
_DIAGNOSIS = re.compile(r"([a-z][a-z0-9' -]*?[a-z0-9'])[-_ ]+\d+(?:[ _-]*\(\d+\))?", re.IGNORECASE)


_CAMERA = {"img", "image", "dsc", "dscn", "dscf", "pict", "photo", "picture", "p", "pic"}


class DermNetConfig(Config):
    """Settings of DermNet."""

    label: Literal["auto", "file-name", "folder"] = Field(
        "auto", description="file-name: the diagnosis; folder: the chapter; auto: as the set needs"
    )
    split: Literal["none", "published"] = Field(
        "none", description="published takes over train and test, which share photographs"
    )


def find_dermnet(path: Path, config: DermNetConfig) -> Found:
    """Finds the images of DermNet or of the set of eight classes (a `Source.find`).

    Raises:
        InputError: there are no images below train and test.
    """
    tree = open_tree(path, _EXPECTED)
    placed, stray = [], []
    for file in tree.images:
        parts = PurePosixPath(file.name).parts
        split = _SPLITS.get(parts[-3].casefold(), "") if len(parts) > 2 else ""
        if split:
            placed.append((file, split, composed(parts[-2])))
        else:
            stray.append(file.name)
    if not placed:
        raise InputError(f"'{path}' holds no images in '{_EXPECTED}'")
    eight = all(_EIGHT_CLASS.match(folder) for _, _, folder in placed)
    by_name = config.label == "file-name" or (config.label == "auto" and not eight)
    images, unnamed = [], []
    for file, split, folder in placed:
        diagnosis = _diagnosis(file) if by_name else ""
        if by_name and not diagnosis:
            unnamed.append(file.name)
        image = _image(file, diagnosis or folder, folder, split, eight)
        images.append(image if config.split == "published" else replace(image, split=""))
    remarks = (
        *tree.remarks,
        _split_remark(config.split),
        *named_remark(unnamed, "images are named by no diagnosis and labelled by their folder"),
        *named_remark(stray, "images lie in no class folder below train or test and are left out"),
        *_counts(images, eight),
    )
    return Found(tuple(images), remarks)


def _image(file: File, label: str, folder: str, split: str, eight: bool) -> SourceImage:
    return SourceImage(
        location=file.location,
        name=PurePosixPath(file.name).name,
        label=label,
        split=split,
        source=EIGHT if eight else NAME,
        licence=EIGHT_LICENCE if eight else LICENCE,
        extra={"chapter": folder, "published_split": split},
    )


def _diagnosis(file: File) -> str:
    """The diagnosis in ``herpes-zoster-12.jpg``; empty for names such as ``07Acne0811.jpg``."""
    match = _DIAGNOSIS.fullmatch(composed(PurePosixPath(file.name).stem))
    name = match[1].casefold() if match else ""
    return "" if name in _CAMERA else name


def _split_remark(split: str) -> str:
    if split == "published":
        return (
            "the published split is taken over, although copies of a photograph lie in both parts"
        )
    return (
        "the published split is not taken over, because copies of a photograph lie in both parts: "
        "deduplicate, then split"
    )


def _counts(images: list[SourceImage], eight: bool) -> tuple[str, ...]:
    folders = Counter(image.extra["chapter"] for image in images)
    if not eight:
        return count_remark("chapters", len(folders), CHAPTERS)
    test = sum(image.extra["published_split"] == "test" for image in images)
    return (
        *count_remark("classes", len(folders), EIGHT_CLASSES),
        *count_remark("test images", test, EIGHT_TEST),
        *count_remark("images of VI-shingles", folders["VI-shingles"], SHINGLES),
    )


SOURCE = Source(
    "dermnet", "DermNet or the Skin Disease Dataset of Kaggle", DermNetConfig, find_dermnet
)
