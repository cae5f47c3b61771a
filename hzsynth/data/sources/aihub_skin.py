"""AI-Hub 71645, measurement of Korean skin: crops of healthy skin from photographs of faces.

965 released subjects in 13 views by three devices, with one label file for each of nine parts of
the face. The pictures show whole faces, by which a person is recognised: only parts are
taken. Pictures are found by the name in their label (``info.filename``), because the folders differ
from one release to the next. Terms: training use only, no redistribution.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.data.sources.aihub_labels import (
    NO_ACNE,
    WHOLE_FACE,
    PartLabel,
    Refusal,
    box_of,
    part_in_name,
    read_part_label,
    upright_size,
    view_of,
)
from hzsynth.data.sources.base import Found, Source, SourceImage
from hzsynth.data.sources.folder import File
from hzsynth.data.sources.published import (
    Tree,
    as_list,
    count_remark,
    named_remark,
    open_tree,
    straddling_remark,
    suffix,
)

NAME = "AI-Hub 71645"
SUBJECTS = {"train": 858, "val": 107}
LICENCE = "AI-Hub 71645: training use only, no redistribution"
_EXPECTED = "AI-Hub 71645: pictures such as 0002_01_F.jpg and labels such as 0002_01_F_00.json"
_SPLITS = (
    ("train", re.compile(r"(^|[^a-z])(training|train|ts|tl)([^a-z]|$)", re.IGNORECASE)),
    ("val", re.compile(r"(^|[^a-z])(validation|val|vs|vl)([^a-z]|$)", re.IGNORECASE)),
)
_Part = Annotated[int, Field(ge=1, le=8)]
_Device = Literal["camera", "pad", "phone"]
_View = Literal["F", "Ft", "Fb", "L", "L15", "L30", "R", "R15", "R30"]
_Several = BeforeValidator(as_list)


class AihubSkinConfig(Config):
    """Settings of AI-Hub 71645. Without values, a filter lets everything pass."""

    label: str = Field("normal", min_length=1, description="class that the crops get")
    parts: Annotated[tuple[_Part, ...], _Several] = Field(
        (1, 5, 6),
        min_length=1,
        description="1 forehead, 2 glabella, 3 4 eyes, 5 6 cheeks, 7 lip, 8 chin; never the face",
    )
    view: Annotated[tuple[_View, ...], _Several] = Field(
        ("F",), min_length=1, description="F front (t from above, b from below), L left, R right"
    )
    device: Annotated[tuple[_Device, ...], _Several] = Field(
        ("camera", "pad", "phone"), min_length=1, description="what took the picture"
    )
    acne: Literal["none", "any"] = Field("none", description="none: only faces without acne")
    sensitive: Annotated[tuple[str, ...], _Several] = Field(
        (), description="values of info.sensitive; none: all"
    )
    skin_type: Annotated[tuple[str, ...], _Several] = Field(
        (), description="values of info.skin_type; none: all"
    )
    gender: Annotated[tuple[str, ...], _Several] = Field(
        (), description="values of info.gender; none: all"
    )
    age: str = Field("", pattern=r"^(\d{1,3}-\d{1,3})?$", description="years, such as 20-39")
    annotation: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[^:]+:-?[\d.]+(-[\d.]+)?$")], ...], _Several
    ] = Field((), description="NAME:LOW-HIGH, a grade of the part that has it")
    split: Literal["none", "published"] = Field(
        "none", description="published: Training is train, Validation is val"
    )


def find_aihub_skin(path: Path, config: AihubSkinConfig) -> Found:
    """Finds the parts of faces in AI-Hub 71645 (a `Source.find`).

    Raises:
        InputError: there are no labels, or no part passes the filters.
    """
    tree = open_tree(path, _EXPECTED, all_archives=True)
    # Extracted files before those of an archive: they are read faster, and only once.
    files = sorted(tree.files, key=lambda file: (bool(file.location.member), file.name))
    labels, unreadable, repeated = _labels(files, config)
    if not labels:
        raise InputError(f"'{path}' holds no labels of the wanted views, expected {_EXPECTED}")
    pictures, copies = _pictures(tree)
    faces = {label.stem: label for label in labels.values() if label.part == WHOLE_FACE}
    _refuse_unknown_annotations(labels.values(), config)
    wanted = [label for label in labels.values() if label.part in config.parts]
    missing = [label.filename for label in wanted if label.stem not in pictures]
    images: list[SourceImage] = []
    left_out: Counter[str] = Counter()
    for label in wanted:
        if label.stem not in pictures:
            continue
        try:
            _refuse_filtered(label, faces.get(label.stem), config)
            images.append(_image(label, pictures[label.stem], config))
        except Refusal as reason:
            left_out[str(reason)] += 1
    reasons = [f"{count} parts are left out: {why}" for why, count in sorted(left_out.items())]
    if not images:
        detail = "; ".join((*reasons, *named_remark(missing, "labelled pictures are missing")))
        raise InputError(f"'{path}' holds no part of a face that passes the filters: {detail}")
    remarks = (
        *reasons,
        *named_remark(unreadable, "label files cannot be read"),
        *named_remark(repeated, "label files are there twice, the first counts"),
        *named_remark(copies, "pictures are there twice, the first counts"),
        *named_remark(missing, "labelled pictures are missing"),
        *_unlabelled(pictures, labels.values(), config),
        *straddling_remark(images),
        *_count_subjects(list(labels.values())),
    )
    return Found(tuple(images), remarks)


def _unlabelled(
    pictures: Mapping[str, File], labels: Iterable[PartLabel], config: AihubSkinConfig
) -> tuple[str, ...]:
    known = {label.stem for label in labels}
    views = {view.casefold() for view in config.view}
    names = [
        file.name for stem, file in pictures.items() if stem not in known and view_of(stem) in views
    ]
    return named_remark(names, "pictures have no label and are left out")


def _labels(
    files: Sequence[File], config: AihubSkinConfig
) -> tuple[dict[tuple[str, int], PartLabel], list[str], list[str]]:
    """The labels of the wanted views and parts, and the files that are damaged or repeated."""
    labels: dict[tuple[str, int], PartLabel] = {}
    unreadable, repeated = [], []
    views = {view.casefold() for view in config.view}
    parts = {WHOLE_FACE, *config.parts}
    for file in files:
        if suffix(file) != ".json":
            continue
        named = part_in_name(file)
        # 100,000 files need not be opened to be passed over.
        if named is not None and (named[0] not in views or named[1] not in parts):
            continue
        label = read_part_label(file)
        if label is None:
            unreadable.append(file.name)
        elif label.view in views and label.part in parts:
            if (label.stem, label.part) in labels:
                repeated.append(file.name)
            else:
                labels[label.stem, label.part] = label
    return labels, unreadable, repeated


def _pictures(tree: Tree) -> tuple[dict[str, File], list[str]]:
    """The pictures by the stem of their name, and those that are there twice."""
    pictures: dict[str, File] = {}
    copies = []
    for file in sorted(tree.images, key=lambda file: (bool(file.location.member), file.name)):
        stem = PurePosixPath(file.name).stem.casefold()
        if stem in pictures:
            copies.append(file.name)
        else:
            pictures[stem] = file
    return pictures, copies


def _refuse_filtered(label: PartLabel, face: PartLabel | None, config: AihubSkinConfig) -> None:
    if config.acne == "none":
        if face is None or face.acne is None:
            raise Refusal("no label of the whole face tells whether there is acne")
        if face.acne != NO_ACNE:
            raise Refusal("the face has acne")
    if label.device not in config.device:
        raise Refusal("taken by another device")
    for name in ("sensitive", "skin_type", "gender"):
        wanted = {value.casefold() for value in getattr(config, name)}
        if wanted and label.info[name].casefold() not in wanted:
            raise Refusal(f"another {name}")
    if config.age and not _within(label.info["age"], config.age):
        raise Refusal("another age")
    for condition in config.annotation:
        name, allowed = condition.split(":", 1)
        if name in label.annotations and not _within(label.annotations[name], allowed):
            raise Refusal(f"another {name}")


def _within(value: str, allowed: str) -> bool:
    low, _, high = allowed.partition("-")
    try:
        return float(low) <= float(value) <= float(high or low)
    except ValueError:
        return False


def _refuse_unknown_annotations(labels: Iterable[PartLabel], config: AihubSkinConfig) -> None:
    known = {name for label in labels for name in label.annotations}
    for condition in config.annotation:
        name = condition.split(":", 1)[0]
        if name not in known:
            raise InputError(
                f"no label of the wanted parts has the annotation '{name}'; there are "
                f"{', '.join(sorted(known)) or 'none'}"
            )


def _image(label: PartLabel, picture: File, config: AihubSkinConfig) -> SourceImage:
    return SourceImage(
        location=picture.location,
        name=f"{PurePosixPath(picture.name).stem}_{label.part:02}.jpg",
        label=config.label,
        split=_split(label.file) if config.split == "published" else "",
        group=f"{NAME}/{label.subject}",
        source=f"{NAME}/{label.device}",
        licence=LICENCE,
        box=box_of(label, upright_size(picture)),
        extra={**label.info, "view": label.view.capitalize(), "part": str(label.part)},
    )


def _split(file: File) -> str:
    """Whether a label lies in the Training or the Validation tree; empty when neither is told."""
    for folder in PurePosixPath(file.name).parts[:-1]:
        for split, pattern in _SPLITS:
            if pattern.search(folder):
                return split
    return ""


def _count_subjects(labels: Sequence[PartLabel]) -> tuple[str, ...]:
    subjects: dict[str, set[str]] = {}
    for label in labels:
        subjects.setdefault(_split(label.file), set()).add(label.subject)
    if set(subjects) <= set(SUBJECTS):
        counts = [
            count_remark(f"subjects of the {split} part", len(subjects.get(split, ())), number)
            for split, number in SUBJECTS.items()
        ]
        return tuple(remark for each in counts for remark in each)
    total = len(set().union(*subjects.values()))
    return count_remark("subjects", total, sum(SUBJECTS.values()))


SOURCE = Source(
    "aihub-skin", "AI-Hub 71645: crops of healthy facial skin", AihubSkinConfig, find_aihub_skin
)
