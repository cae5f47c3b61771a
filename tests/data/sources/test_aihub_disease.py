"""Mapped collections: what a mapping says, and the two examples of the documentation."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ORIGINS
from hzsynth.core.image_set import ImageSet
from hzsynth.data.sources.base import Found
from tests.data.sources.conftest import Files

DOCUMENT = Path(__file__).parents[3] / "docs/data-sources.md"
EXAMPLES = {
    re.search(r'name = "(.+)"', text)[1]: text  # type: ignore[index]
    for text in re.findall(r"```toml\n(name = .+?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
}


@pytest.fixture
def mapping(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        (tmp_path / "mapping.toml").write_text(text, encoding="utf-8")
        return str(tmp_path / "mapping.toml")

    return write


def _diagnosis(name: str) -> str:
    return json.dumps({"annotations": [{"diagnosis_info": {"diagnosis_name": name}}]})


def test_generated_faces_of_71863(
    tmp_path: Path,
    write_zip: Callable[[Path, Files], Path],
    find: Callable[..., Found],
    take: Callable[[Found], ImageSet],
    mapping: Any,
) -> None:
    root = tmp_path / "71863"
    for disease in ("건선", "정상"):
        for view in ("정면", "측면"):
            for tree in "TV":
                # Members with a leading slash, the same names in every archive.
                write_zip(root / f"{tree}S_{disease}_{view}.zip", {"/0001.png": None})
                label = {"/0001.json": _diagnosis(disease)}
                write_zip(root / f"{tree}L_{disease}_{view}.zip", label)
    found = find("aihub-disease", root, mapping=mapping(EXAMPLES["AI-Hub 71863"]))
    images = take(found)
    assert Counter(r.label for r in images) == {"건선": 4, "정상": 4}
    assert Counter(r.extra["view"] for r in images) == {"정면": 4, "측면": 4}
    assert not any(r.is_real for r in images)
    assert any("what their generator learned from is not known" in r for r in found.remarks)
    assert all("no redistribution" in r.licence for r in images)


def test_the_example_of_230(
    tmp_path: Path,
    write_tree: Callable[[Path, Files], Path],
    find: Callable[..., Found],
    take: Callable[[Found], ImageSet],
    mapping: Any,
) -> None:
    files = {
        "Training/01.원천데이터/TS/대상포진/P001_1.jpg": None,
        "Training/01.원천데이터/TS/대상포진/P001_2.jpg": None,
        "Validation/01.원천데이터/VS/습진/P002_1.jpg": None,
    }
    images = take(
        find(
            "aihub-disease",
            write_tree(tmp_path / "230", files),
            mapping=mapping(EXAMPLES["AI-Hub 230"]),
        )
    )
    assert Counter(r.label for r in images) == {"대상포진": 2, "습진": 1}
    assert {r.group for r in images.select(label="대상포진")} == {"AI-Hub 230/P001"}
    assert {r.is_real for r in images} == {True}


JSON = """
name = "set"
[label]
json = "diagnosis.name"
[group]
json = "patient[0].id"
[split]
folder = 2
[splits]
Training = "train"
Validation = "val"
[image]
json = "file"
[extra.age]
json = "patient[0].age"
"""


def _label(name: str, image: str) -> bytes:
    table = {"diagnosis": {"name": name}, "patient": [{"id": 7, "age": 40}], "file": image}
    return json.dumps(table, ensure_ascii=False).encode("cp949")


def test_everything_from_json(
    tmp_path: Path,
    write_tree: Callable[[Path, Files], Path],
    find: Callable[..., Found],
    mapping: Any,
) -> None:
    root = write_tree(
        tmp_path / "set",
        {
            "Training/x/a.jpg": None,
            "Validation/x/b.jpg": None,
            "labels/1.json": _label("대상포진", "x\\a.jpg"),
            "labels/2.json": _label("습진", "b.jpg"),
        },
    )
    found = find("aihub-disease", root, mapping=mapping(JSON))
    assert {i.name: (i.label, i.split, i.group, i.extra["age"]) for i in found.images} == {
        "a.jpg": ("대상포진", "train", "set/7", "40"),
        "b.jpg": ("습진", "val", "set/7", "40"),
    }


def test_what_is_missing_is_counted(
    tmp_path: Path,
    write_tree: Callable[[Path, Files], Path],
    find: Callable[..., Found],
    mapping: Any,
) -> None:
    root = write_tree(
        tmp_path / "set",
        {
            "Training/x/a.jpg": None,
            "Test/x/b.jpg": None,
            "Training/x/c.jpg": None,
            "Training/x/d.jpg": None,
            "labels/1.json": _label("A", "a.jpg"),
            "labels/2.json": _label("B", "b.jpg"),
            "labels/3.json": _label("", "c.jpg"),
            "labels/4.json": _label("B", "none.jpg"),
            "labels/5.json": "{",
        },
    )
    found = find("aihub-disease", root, mapping=mapping(JSON))
    assert {i.name: i.split for i in found.images} == {"a.jpg": "train", "b.jpg": ""}
    text = "\n".join(found.remarks)
    assert "1 images have no label file that can be read and are left out" in text
    assert "1 images have no label where the mapping says" in text
    assert "1 images are in no part of the split" in text
    assert "2 label files have no image, the first is 'labels/4.json'" in text


@pytest.mark.parametrize("origin", [origin for origin in ORIGINS if origin != "real"])
def test_origins(
    tmp_path: Path,
    write_tree: Callable[[Path, Files], Path],
    find: Callable[..., Found],
    mapping: Any,
    origin: str,
) -> None:
    root = write_tree(tmp_path / "set", {"A/a.jpg": None})
    text = f'name = "set"\norigin = "{origin}"\n[label]\nfolder = 1\n'
    found = find("aihub-disease", root, mapping=mapping(text))
    assert [i.origin for i in found.images] == [origin]
    assert bool(found.remarks) == (origin != "phantom")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not valid TOML"),
        ('name = "x"', "`label` is missing"),
        ('name = "x"\n[label]\n', "exactly one of folder, path, json and text"),
        ('name = "x"\n[label]\nfolder = 1\ntext = "y"\n', "exactly one of"),
        ('name = "x"\n[label]\nfolder = 0\n', "label.folder"),
        ('name = "x"\n[label]\npath = "a("\n', "not a regular expression"),
        ('name = "x"\n[label]\npath = "abc"\n', "exactly one group"),
        ('name = "x"\n[label]\njson = "a..b"\n', "a path such as"),
        ('name = "x"\norigin = "gan"\n[label]\nfolder = 1\n', "one of real, phantom"),
        ('name = "x"\n[label]\nfolder = 1\n[splits]\na = "b"\n', "train, val or test"),
        ('name = "x"\nfile = "*"\n[label]\nfolder = 1\n', "unknown configuration key 'file'"),
    ],
)
def test_wrong_mappings(
    tmp_path: Path, find: Callable[..., Found], mapping: Any, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        find("aihub-disease", tmp_path, mapping=mapping(text))
    assert "mapping.toml" in str(refusal.value)


def test_no_mapping(tmp_path: Path, find: Callable[..., Found]) -> None:
    with pytest.raises(InputError, match="setting `mapping`"):
        find("aihub-disease", tmp_path)
    with pytest.raises(InputError, match="cannot read the mapping"):
        find("aihub-disease", tmp_path, mapping=str(tmp_path / "none.toml"))


def test_nothing_fits(
    tmp_path: Path,
    write_tree: Callable[[Path, Files], Path],
    find: Callable[..., Found],
    mapping: Any,
) -> None:
    root = write_tree(tmp_path / "set", {"A/a.jpg": None})
    with pytest.raises(InputError, match=r"whose path is like '\*\.png'"):
        find(
            "aihub-disease",
            root,
            mapping=mapping('name = "x"\nfiles = "*.png"\n[label]\nfolder = 1'),
        )
    with pytest.raises(InputError, match="no image with a label: 1 images have no label where"):
        find("aihub-disease", root, mapping=mapping('name = "x"\n[label]\npath = "(zoster)"'))
