"""SD-260: two lists, and names of classes from wherever there are any."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.data.sources.base import Found
from tests.data.sources.conftest import Files

TRAIN = "images/a one.jpg 0\nimages/10266-b.jpg 1\nc.jpg 2\n"
VAL = "images/d.jpg 0\n"
NAMES = {0: "Herpes_Zoster", 1: "Keloid (old)", 2: "Varicella"}


@pytest.fixture
def root(tmp_path: Path, write_tree: Callable[[Path, Files], Path]) -> Path:
    files = {f"images/{name}": None for name in ("a one.jpg", "10266-b.jpg", "c.jpg", "d.jpg")}
    return write_tree(tmp_path / "sd-260", {**files, "train.txt": TRAIN, "val.txt": VAL})


def test_without_names_classes_are_numbers(
    root: Path, find: Callable[..., Found], take: Callable[[Found], ImageSet]
) -> None:
    found = find("sd260", root)
    assert Counter(i.label for i in found.images) == {"class-0": 2, "class-1": 1, "class-2": 1}
    assert any("name a file of them in the setting `classes`" in r for r in found.remarks)
    images = take(found)
    assert {r.split for r in images} == {""}
    assert [r.group for r in images if r.group] == ["SD-260/10266"]


@pytest.mark.parametrize("form", ["{0} {1}", "{0},{1}", "{0}\t{1}", '{0},"{1}"', "{1}"])
@pytest.mark.parametrize("where", ["beside", "elsewhere"])
def test_names_of_classes(
    root: Path, tmp_path: Path, find: Callable[..., Found], form: str, where: str
) -> None:
    text = "\n".join(form.format(number, name) for number, name in NAMES.items())
    if where == "beside":
        (root / "classes.txt").write_text(text)
        found = find("sd260", root)
    else:
        (tmp_path / "map.csv").write_text(text, encoding="utf-8-sig")
        found = find("sd260", root, classes=str(tmp_path / "map.csv"))
    assert Counter(i.label for i in found.images) == {
        "Herpes_Zoster": 2, "Keloid (old)": 1, "Varicella": 1,
    }  # fmt: skip
    assert not any("names of classes" in r for r in found.remarks)


def test_a_header_is_passed_over(root: Path, tmp_path: Path, find: Callable[..., Found]) -> None:
    (tmp_path / "map.csv").write_text("id,name\n0,Herpes_Zoster\n1,Keloid\n2,Varicella\n")
    assert "Keloid" in {
        i.label for i in find("sd260", root, classes=str(tmp_path / "map.csv")).images
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 A\n1 B\n", "no name for class 2"),
        ("0 A\n1 A\n2 B\n", "twice"),
        ("0 A\n0 C\n1 B\n2 D", "twice"),
        ("0 A\n1 B\nC", "not 'C'"),
    ],
)
def test_a_wrong_class_file_is_refused(
    root: Path, find: Callable[..., Found], text: str, message: str
) -> None:
    (root / "classes.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        find("sd260", root)


def test_folders_name_classes_when_each_number_has_one(
    tmp_path: Path, write_tree: Callable[[Path, Files], Path], find: Callable[..., Found]
) -> None:
    root = write_tree(
        tmp_path / "set",
        {
            "images/Herpes_Zoster/a.jpg": None,
            "images/Keloid/a.jpg": None,
            "train.txt": "Herpes_Zoster/a.jpg 0\n",
            "val.txt": "Keloid/a.jpg 1\n",
        },
    )
    found = find("sd260", root)
    assert {i.label for i in found.images} == {"Herpes_Zoster", "Keloid"}
    assert any("named by their folders" in r for r in found.remarks)
    (root / "val.txt").write_text("Keloid/a.jpg 0\n")
    assert {i.label for i in find("sd260", root).images} == {"class-0"}


def test_the_published_split(root: Path, find: Callable[..., Found]) -> None:
    found = find("sd260", root, split="published")
    assert Counter(i.split for i in found.images) == {"train": 3, "val": 1}


def test_missing_repeated_and_unlisted_files(
    root: Path, find: Callable[..., Found], write_tree: Callable[[Path, Files], Path]
) -> None:
    (root / "images/d.jpg").unlink()
    (root / "val.txt").write_text(VAL + "c.jpg 2\n")
    write_tree(root, {"images/new.jpg": None})
    text = "\n".join(find("sd260", root).remarks)
    assert "1 listed files are missing, the first is 'images/d.jpg'" in text
    assert "1 images are listed more than once, the first line counts, the first is 'c.jpg'" in text
    assert "1 images are not listed and are left out, the first is 'images/new.jpg'" in text
    assert "3 images are here, published are 20600" in text
    assert "3 classes are here, published are 260" in text


def test_one_list_alone(root: Path, find: Callable[..., Found]) -> None:
    (root / "val.txt").unlink()
    assert "val.txt is missing" in find("sd260", root).remarks
    (root / "train.txt").unlink()
    with pytest.raises(InputError, match=r"neither train\.txt nor val\.txt"):
        find("sd260", root)


def test_nothing_of_the_list_is_there(root: Path, find: Callable[..., Found]) -> None:
    (root / "train.txt").write_text("images/x.jpg 0\n")
    (root / "val.txt").write_text("")
    with pytest.raises(InputError, match="none of the 1 listed images"):
        find("sd260", root)


def test_lists_of_windows_and_of_korean_windows(
    tmp_path: Path, write_tree: Callable[[Path, Files], Path], find: Callable[..., Found]
) -> None:
    root = write_tree(tmp_path / "set", {"images/대상포진/가.jpg": None, "images/B/b.jpg": None})
    (root / "train.txt").write_bytes(
        "images\\대상포진\\가.jpg 0\r\nimages\\B\\b.jpg 1\r\n".encode("cp949")
    )
    assert {i.label for i in find("sd260", root).images} == {"대상포진", "B"}
