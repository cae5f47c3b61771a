"""SD-198 in its three layouts; the class is never told by a file's name."""

import io
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.data.sources.base import Found
from tests.data.sources.conftest import Files

HIM = "Lichen_Planus_(Oral)"
FILES = [
    "Herpes_Zoster/040101HB.jpg",
    "Herpes_Zoster/040102VB.JPG",
    "Herpes_Simplex_Virus/040103HB.jpg",
    "Varicella/10301-zoster of the back.jpg",
    "Keloid/10266-chickenpox.jpg",
    "Keloid/10266-chickenpox side.jpg",
    "Palmoplantar_Keratoderma/10257-Palm[1].Ps.jpg",
    f"{HIM}/040104HB.jpg",
    "Pityriasis_Lichenoides_et_Varioliformis_Acuta-Mucha.Habermann/123456-a.jfif",
    "Nevus Sebaceous of Jadassohn/040105HB.jpg",
    "[Unclear]/040106HB.jpg",
]
NUMBERS = {name: i for i, name in enumerate(sorted({f.split("/")[0] for f in FILES}))}
LINES = [f"{name} {NUMBERS[name.split('/')[0]]}" for name in FILES]


def _npy(rows: list[Any], kind: type | str) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(rows, dtype=kind), allow_pickle=True)
    return buffer.getvalue()


@pytest.fixture
def layout_a(tmp_path: Path, write_tree: Callable[[Path, Files], Path]) -> Path:
    files: Files = {f"images/{name}": None for name in FILES}
    files["class_idx.npy"] = _npy(list(NUMBERS.items()), "U80")
    files["8_2_split/train_0.txt"] = "\n".join(LINES[::2])
    files["8_2_split/val_0.txt"] = "\r\n".join(LINES[1::2]) + "\r\n"
    files["5_5_split/train_3.txt"] = "\n".join(LINES[:4])
    files["5_5_split/val_3.txt"] = "\n".join(LINES[4:])
    return write_tree(tmp_path / "sd-198", files)


def test_folders_are_classes_and_names_are_not(
    layout_a: Path, find: Callable[..., Found], take: Callable[[Found], ImageSet]
) -> None:
    images = take(find("sd198", layout_a))
    assert len(images) == len(FILES)
    assert images.labels == tuple(sorted(NUMBERS))
    zoster = images.select(label="Herpes_Zoster")
    assert len(zoster) == 2
    assert {r.extra["published_path"] for r in images.select(label="Keloid")} == {
        "Keloid/10266-chickenpox.jpg",
        "Keloid/10266-chickenpox side.jpg",
    }
    assert {r.source for r in images} == {"SD-198"}
    assert all("on request" in r.licence for r in images)
    assert {r.split for r in images} == {""}


def test_photographs_of_a_case_are_a_group(layout_a: Path, find: Callable[..., Found]) -> None:
    groups = {i.name: i.group for i in find("sd198", layout_a).images}
    assert groups["10266-chickenpox.jpg"] == groups["10266-chickenpox side.jpg"] == "SD-198/10266"
    assert groups["10257-Palm[1].Ps.jpg"] == "SD-198/10257"
    assert groups["123456-a.jfif"] == "SD-198/123456"
    assert groups["040101HB.jpg"] == groups["040102VB.JPG"] == ""


def test_names_with_brackets_and_blanks_are_found_by_lists(
    layout_a: Path, find: Callable[..., Found], take: Callable[[Found], ImageSet]
) -> None:
    found = find("sd198", layout_a, split="8_2/0")
    assert Counter(i.split for i in found.images) == {"train": 6, "val": 5}
    splits = {f"{i.label}/{i.name}": i.split for i in found.images}
    assert splits["Palmoplantar_Keratoderma/10257-Palm[1].Ps.jpg"] == "train"
    assert splits["Varicella/10301-zoster of the back.jpg"] == "val"
    assert len(take(found).select(split="val")) == 5


def test_another_published_split(layout_a: Path, find: Callable[..., Found]) -> None:
    found = find("sd198", layout_a, split="5_5/3")
    assert Counter(i.split for i in found.images) == {"train": 4, "val": 7}
    with pytest.raises(InputError, match=r"no split '8_2/1'; there are: 8_2/0, 5_5/3"):
        find("sd198", layout_a, split="8_2/1")


@pytest.mark.parametrize("split", ["8/2", "published", "../x", ""])
def test_a_split_of_another_form_is_refused(
    layout_a: Path, find: Callable[..., Found], split: str
) -> None:
    with pytest.raises(InputError, match="`split` is wrong"):
        find("sd198", layout_a, split=split)


def test_an_object_array_is_never_unpickled(
    layout_a: Path, find: Callable[..., Found], tmp_path: Path
) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "exploded",)

    (layout_a / "class_idx.npy").write_bytes(_npy([(Bomb(), 0)], object))
    found = find("sd198", layout_a)
    assert not (tmp_path / "exploded").exists()
    assert {i.label for i in found.images} == set(NUMBERS)
    assert any("class_idx.npy holds Python objects" in r for r in found.remarks)


def test_a_readable_index_is_compared_with_the_folders(
    layout_a: Path, find: Callable[..., Found]
) -> None:
    assert not any("class_idx" in r for r in find("sd198", layout_a).remarks)
    (layout_a / "class_idx.npy").write_bytes(_npy([("Herpes_Zoster", 0), ("Lupus", 1)], "U80"))
    assert any(
        "in class_idx.npy or a folder, not both" in r for r in find("sd198", layout_a).remarks
    )


def test_counts_differ_from_the_published_ones(layout_a: Path, find: Callable[..., Found]) -> None:
    remarks = find("sd198", layout_a).remarks
    assert "11 images are here, published are 6584" in remarks
    assert "9 classes are here, published are 198" in remarks


def test_missing_unlisted_and_stray_files(
    layout_a: Path, find: Callable[..., Found], write_tree: Callable[[Path, Files], Path]
) -> None:
    (layout_a / "images" / FILES[0]).unlink()
    write_tree(layout_a, {"images/Keloid/new.jpg": None, "cover.jpg": None})
    found = find("sd198", layout_a, split="8_2/0")
    assert len(found.images) == 10
    text = "\n".join(found.remarks)
    assert f"1 files of the published lists are missing, the first is '{FILES[0]}'" in text
    assert "1 images are in none of the published lists and are left out, the first is " in text
    assert "'Keloid/new.jpg'" in text
    assert "1 images lie in no class folder and are left out, the first is 'cover.jpg'" in text
    assert len(find("sd198", layout_a).images) == 11


def test_a_number_of_two_classes_is_noted(layout_a: Path, find: Callable[..., Found]) -> None:
    (layout_a / "8_2_split/train_0.txt").write_text(
        "Herpes_Zoster/040101HB.jpg 1\nVaricella/10301-zoster of the back.jpg 1\n"
    )
    assert any("share their number" in r for r in find("sd198", layout_a).remarks)


@pytest.mark.parametrize("line", ["Keloid/a.jpg", "Keloid/a.jpg one", "Keloid/a.jpg -1"])
def test_a_damaged_list_is_named(layout_a: Path, find: Callable[..., Found], line: str) -> None:
    (layout_a / "8_2_split/train_0.txt").write_text(f"{LINES[0]}\n{line}\n")
    with pytest.raises(InputError, match=r"train_0\.txt', line 2: expected"):
        find("sd198", layout_a)


def test_a_list_cannot_lead_out(layout_a: Path, find: Callable[..., Found]) -> None:
    (layout_a / "8_2_split/train_0.txt").write_text("../../secret.jpg 1\n")
    with pytest.raises(InputError, match="outside of its data set"):
        find("sd198", layout_a)


def _cub(prefix: str = "") -> dict[str, str | None]:
    names = [f"{i} {name}" for i, name in enumerate(FILES, 1)]
    classes = [f"{i + 1} {prefix.format(i + 1)}{name}" for name, i in NUMBERS.items()]
    numbers = [f"{i} {NUMBERS[name.split('/')[0]] + 1}" for i, name in enumerate(FILES, 1)]
    return {
        "images.txt": "\n".join(names),
        "classes.txt": "\n".join(classes),
        "image_class_labels.txt": "\n".join(numbers),
        **{f"images/{name}": None for name in FILES},
    }


@pytest.mark.parametrize("prefix", ["", "{:03}."])
def test_the_tables_of_cub(
    tmp_path: Path,
    write_tree: Callable[[Path, Files], Path],
    find: Callable[..., Found],
    take: Callable[[Found], ImageSet],
    prefix: str,
) -> None:
    root = write_tree(tmp_path / "cub", _cub(prefix))
    images = take(find("sd198", root))
    assert len(images) == len(FILES)
    assert images.labels == tuple(sorted(NUMBERS))
    assert len(images.select(label="Herpes_Zoster")) == 2


def test_the_tables_of_cub_name_what_is_missing(
    tmp_path: Path, write_tree: Callable[[Path, Files], Path], find: Callable[..., Found]
) -> None:
    root = write_tree(tmp_path / "cub", _cub())
    (root / "images" / FILES[2]).unlink()
    write_tree(root, {"images/Keloid/new.jpg": None})
    found = find("sd198", root)
    assert len(found.images) == len(FILES) - 1
    assert f"1 listed files are missing, the first is '{FILES[2]}'" in found.remarks
    assert any("not listed and are left out" in r for r in found.remarks)
    (root / "image_class_labels.txt").write_text("1 1\n")
    with pytest.raises(InputError, match=r"image 2 of images\.txt has no class"):
        find("sd198", root)


@pytest.mark.parametrize("top", ["", "sd-198/", "data/main_classes/"])
def test_a_zip_of_class_folders(
    tmp_path: Path,
    write_zip: Callable[[Path, Files], Path],
    find: Callable[..., Found],
    take: Callable[[Found], ImageSet],
    top: str,
) -> None:
    files = {f"{top}{name}": None for name in FILES} | {f"__MACOSX/{top}._a.jpg": b"x"}
    path = write_zip(tmp_path / "sd-198.zip", files)
    images = take(find("sd198", path))
    assert images.labels == tuple(sorted(NUMBERS))
    assert len(images) == len(FILES)
    assert {r.group for r in images.select(label="Keloid")} == {"SD-198/10266"}


def test_a_folder_that_holds_the_zip(
    tmp_path: Path,
    write_zip: Callable[[Path, Files], Path],
    write_tree: Callable[[Path, Files], Path],
    find: Callable[..., Found],
) -> None:
    write_zip(tmp_path / "mirror/sd-198.zip", {f"sd-198/{name}": None for name in FILES})
    write_tree(tmp_path / "mirror", {"README.md": "a mirror"})
    assert len(find("sd198", tmp_path / "mirror").images) == len(FILES)


def test_layout_a_in_a_zip(
    layout_a: Path,
    tmp_path: Path,
    write_zip: Callable[[Path, Files], Path],
    find: Callable[..., Found],
) -> None:
    files = {
        f"sd-198/{p.relative_to(layout_a).as_posix()}": p.read_bytes()
        for p in layout_a.rglob("*")
        if p.is_file()
    }
    found = find("sd198", write_zip(tmp_path / "a.zip", files), split="8_2/0")
    assert Counter(i.split for i in found.images) == {"train": 6, "val": 5}


def test_decomposed_names_are_one_class(
    tmp_path: Path, write_tree: Callable[[Path, Files], Path], find: Callable[..., Found]
) -> None:
    name = unicodedata.normalize("NFD", "Acné")
    root = write_tree(tmp_path / "set", {f"images/{name}/a.jpg": None, "images/B/b.jpg": None})
    write_tree(
        root, {"8_2_split/train_0.txt": "Acné/a.jpg 0\n", "8_2_split/val_0.txt": "B/b.jpg 1"}
    )
    found = find("sd198", root, split="8_2/0")
    assert {i.label: i.split for i in found.images} == {"Acné": "train", "B": "val"}


@pytest.mark.parametrize("files", [{"readme.txt": "x"}, {"images/a.jpg": None}, {"a.jpg": None}])
def test_nothing_to_import(
    tmp_path: Path,
    write_tree: Callable[[Path, Files], Path],
    find: Callable[..., Found],
    files: dict[str, str] | dict[str, None],
) -> None:
    root = write_tree(tmp_path / "set", files)
    with pytest.raises(InputError, match="expected SD-198: images/CLASS"):
        find("sd198", root)
    with pytest.raises(InputError, match="does not exist"):
        find("sd198", tmp_path / "none")


def test_cases_that_the_published_split_tears_apart(
    layout_a: Path, find: Callable[..., Found]
) -> None:
    found = find("sd198", layout_a, split="8_2/0")
    assert (
        "1 cases lie on both sides of the published split, the first is 'SD-198/10266'"
        in found.remarks
    )
    assert not any("both sides" in r for r in find("sd198", layout_a).remarks)
