"""Any collection of photographs with a label file or a telling path, described by a mapping.

The layout of AI-Hub 230 and of other Korean sets of skin diseases differs from release to
release. A small TOML file says which files are images, and where the class, the patient, the part of
the split and further columns of an image are told: by a folder, by the path, or in its JSON. Two
examples are in ``docs/data-sources.md``. Zip archives are read as the folders they hold;
an archive's own name counts as a folder.
"""

import fnmatch
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Self

from pydantic import Field, field_validator, model_validator

from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ORIGINS, REAL_ORIGINS
from hzsynth.data.sources.base import Found, Source, SourceImage
from hzsynth.data.sources.folder import File, composed
from hzsynth.data.sources.published import (
    named_remark,
    open_tree,
    read_text,
    straddling_remark,
    suffix,
)

_EXPECTED = "a folder or archives of images, as the mapping describes"
_SOURCE_OR_LABEL = re.compile(r"\d*\.?(?:원천|라벨링)데이터|(?<![A-Za-z])([TV])[SL](?![A-Za-z])")
_SPLITS = ("train", "val", "test")


class Where(Config):
    """Where a value is told: exactly one of the four."""

    folder: int | None = Field(None, ge=1, description="1 is the folder that the file lies in")
    path: str | None = Field(None, description="regular expression with one group, in the path")
    json_path: str | None = Field(
        None, alias="json", description="such as annotations[0].diagnosis_info.diagnosis_name"
    )
    text: str | None = Field(None, description="the same for all")

    @field_validator("path")
    @classmethod
    def _one_group(cls, value: str | None) -> str | None:
        try:
            if value is not None and re.compile(value).groups != 1:
                raise ValueError("a regular expression with exactly one group")
        except re.error as error:
            raise ValueError(f"not a regular expression ({error})") from error
        return value

    @field_validator("json_path")
    @classmethod
    def _known_form(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(
            r"[^.\[\]]+(\[\d+\])*(\.[^.\[\]]+(\[\d+\])*)*", value
        ):
            raise ValueError("a path such as annotations[0].name")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [v for v in (self.folder, self.path, self.json_path, self.text) if v is not None]
        if len(given) != 1:
            raise ValueError("exactly one of folder, path, json and text")
        return self


class Mapping(Config):
    """Describes a collection; every value but ``name`` and ``label`` may be left out."""

    name: str = Field(min_length=1, pattern=r"^[^/]+$", description="of the data set")
    label: Where = Field(description="class")
    licence: str = Field("", description="terms under which the images may be used")
    origin: str = Field("real", description="real, or the kind of generator that made them")
    files: str = Field("*", description="pattern of the paths of images; * crosses folders")
    group: Where | None = Field(None, description="patient, case or subject")
    split: Where | None = Field(None, description="where the split is told")
    splits: dict[str, str] = Field({}, description="what is told -> train, val or test")
    image: Where | None = Field(None, description="in a JSON: the name of its image")
    extra: dict[str, Where] = Field({}, description="further columns")

    @field_validator("origin")
    @classmethod
    def _known_origin(cls, value: str) -> str:
        if value not in ORIGINS:
            raise ValueError(f"one of {', '.join(ORIGINS)}")
        return value

    @field_validator("splits")
    @classmethod
    def _known_splits(cls, value: dict[str, str]) -> dict[str, str]:
        if set(value.values()) - set(_SPLITS):
            raise ValueError("values are train, val or test")
        return value

    @property
    def reads_json(self) -> bool:
        """Whether something is told in label files."""
        wheres = (self.label, self.group, self.split, *self.extra.values())
        return any(where is not None and where.json_path is not None for where in wheres)


class AihubDiseaseConfig(Config):
    """Settings of a mapped collection."""

    mapping: Path | None = Field(None, description="TOML file that describes the collection")


def find_aihub_disease(path: Path, config: AihubDiseaseConfig) -> Found:
    """Finds the images of a mapped collection (a `Source.find`).

    Raises:
        InputError: there is no mapping, it is of another form, or no image has a label.
    """
    mapping = read_mapping(config.mapping)
    tree = open_tree(path, _EXPECTED, all_archives=True)
    pattern = composed(mapping.files).casefold()
    pictures = [f for f in tree.images if fnmatch.fnmatchcase(f.name.casefold(), pattern)]
    if not pictures:
        raise InputError(f"'{path}' holds no images whose path is like '{mapping.files}'")
    labels = _LabelFiles(tree.files, mapping) if mapping.reads_json else None
    images: list[SourceImage] = []
    lonely, unlabelled = [], []
    for file in pictures:
        content = labels.of(file) if labels else None
        if labels and content is None:
            lonely.append(file.name)
        elif _told(mapping.label, file, content):
            images.append(_image(mapping, file, content))
        else:
            unlabelled.append(file.name)
    no_split = [image.name for image in images if mapping.split is not None and not image.split]
    remarks = (
        *named_remark(lonely, "images have no label file that can be read and are left out"),
        *named_remark(unlabelled, "images have no label where the mapping says and are left out"),
        *named_remark(no_split, "images are in no part of the split"),
        *(labels.remarks() if labels else ()),
        *straddling_remark(images),
        *_origin_remark(mapping),
    )
    if not images:
        raise InputError(f"'{path}' holds no image with a label: {'; '.join(remarks)}")
    return Found(tuple(images), remarks)


def _image(mapping: Mapping, file: File, content: object) -> SourceImage:
    split = _told(mapping.split, file, content)
    split = mapping.splits.get(split, split)
    group = _told(mapping.group, file, content)
    return SourceImage(
        location=file.location,
        name=PurePosixPath(file.name).name,
        label=_told(mapping.label, file, content),
        split=split if split in _SPLITS else "",
        group=f"{mapping.name}/{group}" if group else "",
        source=mapping.name,
        origin=mapping.origin,
        licence=mapping.licence,
        extra={name: _told(where, file, content) for name, where in mapping.extra.items()},
    )


def read_mapping(path: Path | None) -> Mapping:
    """Reads a mapping.

    Raises:
        InputError: it is missing, cannot be read or has another form.
    """
    if path is None:
        raise InputError("the mapping is missing: name its TOML file in the setting `mapping`")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read the mapping '{path}': {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the mapping '{path}' is not valid TOML: {error}") from error
    try:
        return Mapping.from_sources(overrides=values)
    except InputError as error:
        raise InputError(f"the mapping '{path}': {error}") from error


def _origin_remark(mapping: Mapping) -> tuple[str, ...]:
    if mapping.origin in REAL_ORIGINS:
        return ()
    return (
        f"the images count as made by {mapping.origin}; what their generator learned from is not "
        "known, so that no check can tell whether it saw photographs that are tested on",
    )


def _told(where: Where | None, file: File, content: object) -> str:
    """The value that is told at a place; empty when there is none."""
    if where is None:
        return ""
    if where.text is not None:
        return composed(where.text)
    if where.folder is not None:
        parts = PurePosixPath(file.name).parts
        return parts[-1 - where.folder] if where.folder < len(parts) else ""
    if where.path is not None:
        match = re.search(composed(where.path), file.name)
        return composed(match[1] or "") if match else ""
    assert where.json_path is not None
    return _at(content, where.json_path)


def _at(content: object, path: str) -> str:
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        if key and isinstance(content, dict):
            content = content.get(key)
        elif index and isinstance(content, list) and int(index) < len(content):
            content = content[int(index)]
        else:
            return ""
    return composed(str(content)) if isinstance(content, str | int | float) else ""


class _LabelFiles:
    """The label files of a collection, and which image each is about.

    An image is matched by the name in the JSON where the mapping says so, else by its path, in
    which the folders and archives of pictures (TS, VS) answer to those of labels (TL, VL),
    else by its name alone where only one label file has it.
    """

    def __init__(self, files: Sequence[File], mapping: Mapping) -> None:
        self._paths: dict[str, list[File]] = {}
        self._stems: dict[str, list[File]] = {}
        self._used: set[str] = set()
        self._all = [file for file in files if suffix(file) == ".json"]
        for file in self._all:
            stem = PurePosixPath(file.name).stem
            if mapping.image is not None:
                name = _told(mapping.image, file, _content(file)).replace("\\", "/")
                stem = PurePosixPath(name).stem
            else:
                self._paths.setdefault(_place(file), []).append(file)
            self._stems.setdefault(stem.casefold(), []).append(file)

    def of(self, image: File) -> object:
        """The content of an image's label file; None when there is none, or not only one."""
        for found in (
            self._paths.get(_place(image), []),
            self._stems.get(PurePosixPath(image.name).stem.casefold(), []),
        ):
            if len(found) == 1:
                self._used.add(found[0].name)
                return _content(found[0])
        return None

    def remarks(self) -> tuple[str, ...]:
        """Label files without an image."""
        names = [file.name for file in self._all if file.name not in self._used]
        return named_remark(names, "label files have no image")


def _place(file: File) -> str:
    """The path without suffix, and without what tells pictures from labels."""
    path = PurePosixPath(file.name).with_suffix("").as_posix()
    return _SOURCE_OR_LABEL.sub(lambda match: match[1] or "", path).casefold()


def _content(file: File) -> object:
    try:
        return json.loads(read_text(file))
    except (InputError, ValueError, RecursionError):
        return None


SOURCE = Source(
    "aihub-disease",
    "AI-Hub 230, 71863 and other sets, described by a mapping",
    AihubDiseaseConfig,
    find_aihub_disease,
)
