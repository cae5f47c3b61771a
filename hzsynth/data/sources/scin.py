"""SCIN: 10,407 photographs of 5,033 cases, given by people in the United States (Google, 2024).

Dermatologists weighed several diagnoses a case; the case takes the diagnosis that weighs most,
if it weighs enough and no other weighs the same. All photographs of a case are one group.
"""

import ast
import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.data.sources.base import Found, Source, SourceImage
from hzsynth.data.sources.folder import File, composed
from hzsynth.data.sources.published import (
    Lookup,
    Tree,
    count_remark,
    named_remark,
    open_tree,
    read_rows,
)

NAME = "SCIN"
CASES, IMAGES, ZOSTER_CASES = 5033, 10407, 142
ZOSTER = "Herpes Zoster"
LICENCE = "SCIN Data Use License: no re-identification"
_EXPECTED = "SCIN: scin_cases.csv, scin_labels.csv and the images"
_WEIGHTS = "weighted_skin_condition_label"
_KEPT = ("age_group", "sex_at_birth", "fitzpatrick_skin_type")
_MAX_LITERAL = 20_000


class ScinConfig(Config):
    """Settings of SCIN."""

    minimum_weight: float = Field(
        0.5, gt=0, le=1, description="least weight of the diagnosis that a case takes"
    )


def find_scin(path: Path, config: ScinConfig) -> Found:
    """Finds the images of SCIN (a `Source.find`).

    Raises:
        InputError: a table is missing or damaged, or no case has a diagnosis of that weight.
    """
    tree = open_tree(path, _EXPECTED)
    cases = {row["case_id"].strip(): row for row in _rows(tree, "scin_cases.csv", "image_1_path")}
    labels = {
        row["case_id"].strip(): row[_WEIGHTS] for row in _rows(tree, "scin_labels.csv", _WEIGHTS)
    }
    weights, refused = _weights(cases, labels)
    chosen, passed_over = _chosen(weights, config.minimum_weight)
    lookup = Lookup(tree.images)
    images: list[SourceImage] = []
    missing = []
    for case, (label, weight) in chosen.items():
        for key in _image_columns(cases[case]):
            file = lookup.find(cases[case][key], keep=1)
            if file is None:
                missing.append(cases[case][key])
            else:
                images.append(_image(file, label, weight, case, cases[case], key))
    if not images:
        raise InputError(
            f"'{path}' holds no image of a case whose diagnosis weighs at least "
            f"{config.minimum_weight}, expected {_EXPECTED}"
        )
    remarks = (
        *tree.remarks,
        *refused,
        *passed_over,
        *named_remark(missing, "listed files are missing"),
        *_unlisted(tree, cases, lookup),
        *_counts(cases, weights),
    )
    return Found(tuple(images), remarks)


def _chosen(
    weights: dict[str, dict[str, float]], minimum: float
) -> tuple[dict[str, tuple[str, float]], tuple[str, ...]]:
    """The diagnosis that each case takes and its weight, and remarks on those that take none."""
    chosen, light, tied = {}, [], []
    for case, each in weights.items():
        label, weight, alone = _heaviest(each)
        if weight < minimum:
            light.append(case)
        elif not alone:
            tied.append(case)
        else:
            chosen[case] = label, weight
    return chosen, (
        *named_remark(light, f"cases have no diagnosis that weighs {minimum}"),
        *named_remark(tied, "cases have two diagnoses of the same weight"),
    )


def _counts(
    cases: dict[str, dict[str, str]], weights: dict[str, dict[str, float]]
) -> tuple[str, ...]:
    listed = sum(1 for row in cases.values() for _ in _image_columns(row))
    zoster = sum(ZOSTER in each for each in weights.values())
    return (
        *count_remark("cases", len(cases), CASES),
        *count_remark("listed images", listed, IMAGES),
        *count_remark(f"cases with {ZOSTER} among their diagnoses", zoster, ZOSTER_CASES),
    )


def _rows(tree: Tree, name: str, column: str) -> list[dict[str, str]]:
    file = tree.named(name) or tree.named(f"dataset_{name}")
    if file is None:
        raise InputError(f"'{tree.root}' has no {name}, expected {_EXPECTED}")
    rows = read_rows(file, ("case_id", column))
    for row in rows:
        # A spreadsheet program rounds 19 digits to 15, and different cases become one.
        if not re.fullmatch(r"-?\d+", row["case_id"].strip()):
            raise InputError(
                f"'{file.location}': the case_id '{row['case_id']}' is no whole number; take the "
                "published file, which no spreadsheet program has saved"
            )
    return rows


def _image_columns(row: dict[str, str]) -> Iterator[str]:
    return (f"image_{i}_path" for i in (1, 2, 3) if row.get(f"image_{i}_path", "").strip())


def _weights(
    cases: dict[str, dict[str, str]], labels: dict[str, str]
) -> tuple[dict[str, dict[str, float]], tuple[str, ...]]:
    """The weighed diagnoses of every case that has any, and remarks on the others."""
    weights, empty, unreadable = {}, [], []
    for case in cases:
        text = labels.get(case, "").strip()
        parsed = _parsed(text)
        if parsed:
            weights[case] = parsed
        elif parsed is None:
            unreadable.append(case)
        else:
            empty.append(case)
    return weights, (
        *named_remark(empty, "cases have no diagnosis and are left out"),
        *named_remark(unreadable, "cases have a diagnosis that cannot be read and are left out"),
    )


def _parsed(text: str) -> dict[str, float] | None:
    """Diagnosis -> weight; empty when there is none, None when the text is of another form."""
    if text in ("", "{}", "nan"):
        return {}
    if len(text) > _MAX_LITERAL:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    if not isinstance(value, dict):
        return None
    for name, weight in value.items():
        if not isinstance(name, str) or not name.strip() or isinstance(weight, bool):
            return None
        if not isinstance(weight, int | float) or not math.isfinite(weight):
            return None
    return {composed(name): float(weight) for name, weight in value.items()}


def _heaviest(weights: dict[str, float]) -> tuple[str, float, bool]:
    """The diagnosis that weighs most, its weight, and whether no other weighs the same."""
    label = max(weights, key=lambda name: weights[name])
    alone = sum(math.isclose(weight, weights[label]) for weight in weights.values()) == 1
    return label, weights[label], alone


def _image(
    file: File, label: str, weight: float, case: str, row: dict[str, str], key: str
) -> SourceImage:
    shot = row.get(key.replace("_path", "_shot_type"), "")
    return SourceImage(
        location=file.location,
        name=PurePosixPath(file.name).name,
        label=label,
        group=f"{NAME}/{case}",
        source=NAME,
        licence=LICENCE,
        extra={
            "label_weight": f"{weight:g}",
            "shot_type": shot,
            **{name: row.get(name, "") for name in _KEPT},
        },
    )


def _unlisted(tree: Tree, cases: dict[str, dict[str, str]], lookup: Lookup) -> tuple[str, ...]:
    files = (lookup.find(row[key], keep=1) for row in cases.values() for key in _image_columns(row))
    known = {file.location for file in files if file is not None}
    names = [file.name for file in tree.images if file.location not in known]
    return named_remark(names, "images are not listed and are left out")


SOURCE = Source("scin", "SCIN: scin_cases.csv, scin_labels.csv and images", ScinConfig, find_scin)
