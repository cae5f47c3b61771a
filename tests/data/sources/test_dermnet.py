"""DermNet: the diagnosis is in the file's name; and the Kaggle set of eight classes."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.data.sources.base import Found
from hzsynth.data.vocabulary import means_zoster
from tests.data.sources.conftest import Files

CHAPTER = "Warts Molluscum and other Viral Infections"
FILES = [
    f"train/{CHAPTER}/herpes-zoster-1.jpg",
    f"train/{CHAPTER}/herpes-zoster-102.jpg",
    f"train/{CHAPTER}/Herpes-Zoster-7 (2).JPG",
    f"train/{CHAPTER}/chickenpox-3.jpg",
    f"test/{CHAPTER}/herpes-zoster-9.jpg",
    "train/Herpes HPV and other STDs Photos/herpes-type-1-primary-12.jpg",
    "train/Acne and Rosacea Photos/07Acne081101.jpg",
    "test/Acne and Rosacea Photos/IMG_0012.jpg",
    "test/Acne and Rosacea Photos/acne-cystic-10.jpg",
]
EIGHT = [
    "skin-disease-datasaet/train_set/VI-shingles/1_VI-shingles (4).jpg",
    "skin-disease-datasaet/train_set/BA- cellulitis/BA- cellulitis (1).jpg",
    "skin-disease-datasaet/test_set/VI-shingles/herpes-zoster-3.png",
    "skin-disease-datasaet/test_set/FU-ringworm/a.webp",
    "skin-disease-datasaet/train_set/PA-cutaneous-larva-migrans/b.jpg",
]


@pytest.fixture
def root(tmp_path: Path, write_tree: Callable[[Path, Files], Path]) -> Path:
    return write_tree(tmp_path / "dermnet", dict.fromkeys(FILES))


@pytest.fixture
def eight(tmp_path: Path, write_tree: Callable[[Path, Files], Path]) -> Path:
    return write_tree(tmp_path / "archive", dict.fromkeys(EIGHT))


def test_the_diagnosis_is_in_the_name(
    root: Path, find: Callable[..., Found], take: Callable[[Found], ImageSet]
) -> None:
    images = take(find("dermnet", root))
    assert Counter(r.label for r in images) == {
        "herpes-zoster": 4,
        "chickenpox": 1,
        "herpes-type-1-primary": 1,
        "acne-cystic": 1,
        "Acne and Rosacea Photos": 2,
    }
    zoster = images.select(label="herpes-zoster")
    assert {r.extra["chapter"] for r in zoster} == {CHAPTER}
    assert [label for label in images.labels if means_zoster(label)] == ["herpes-zoster"]


def test_names_without_a_diagnosis_keep_the_chapter(root: Path, find: Callable[..., Found]) -> None:
    found = find("dermnet", root)
    named = {i.name: i.label for i in found.images}
    assert named["07Acne081101.jpg"] == named["IMG_0012.jpg"] == "Acne and Rosacea Photos"
    assert any("2 images are named by no diagnosis" in r for r in found.remarks)


def test_the_chapter_may_be_the_label(root: Path, find: Callable[..., Found]) -> None:
    found = find("dermnet", root, label="folder")
    assert Counter(i.label for i in found.images)[CHAPTER] == 5
    with pytest.raises(InputError, match="`label` is one of auto"):
        find("dermnet", root, label="stem")


def test_the_split_leaks_and_is_taken_only_when_asked_for(
    root: Path, find: Callable[..., Found]
) -> None:
    found = find("dermnet", root)
    assert {i.split for i in found.images} == {""}
    assert any("not taken over, because copies" in r for r in found.remarks)
    found = find("dermnet", root, split="published")
    assert Counter(i.split for i in found.images) == {"train": 6, "test": 3}
    assert any("although copies" in r for r in found.remarks)
    with pytest.raises(InputError, match="`split` is one of none"):
        find("dermnet", root, split="8_2/0")


def test_eight_classes_are_named_by_folders(
    eight: Path, find: Callable[..., Found], take: Callable[[Found], ImageSet]
) -> None:
    found = find("dermnet", eight)
    images = take(found)
    assert Counter(r.label for r in images) == {
        "VI-shingles": 2,
        "BA- cellulitis": 1,
        "FU-ringworm": 1,
        "PA-cutaneous-larva-migrans": 1,
    }
    assert means_zoster("VI-shingles")
    assert {r.source for r in images} == {"Skin Disease Dataset"}
    assert any("not taken over" in r for r in found.remarks)
    found = find("dermnet", eight, split="published")
    assert Counter(i.split for i in found.images) == {"train": 3, "test": 2}


def test_counts_differ_from_the_published_ones(
    root: Path, eight: Path, find: Callable[..., Found]
) -> None:
    assert "3 chapters are here, published are 23" in find("dermnet", root).remarks
    remarks = find("dermnet", eight).remarks
    assert "4 classes are here, published are 8" in remarks
    assert "2 test images are here, published are 234" in remarks
    assert "2 images of VI-shingles are here, published are 163" in remarks


def test_zips_and_folders_that_hold_them(
    tmp_path: Path,
    write_zip: Callable[[Path, Files], Path],
    write_tree: Callable[[Path, Files], Path],
    find: Callable[..., Found],
) -> None:
    path = write_zip(tmp_path / "in/archive.zip", dict.fromkeys(EIGHT))
    assert len(find("dermnet", path).images) == len(EIGHT)
    assert len(find("dermnet", path.parent).images) == len(EIGHT)
    write_tree(path.parent, dict.fromkeys(EIGHT[:2]))
    found = find("dermnet", path.parent)
    assert len(found.images) == 2
    assert any("'archive.zip', which are not opened" in r for r in found.remarks)


def test_stray_images_and_nothing_at_all(
    root: Path,
    tmp_path: Path,
    find: Callable[..., Found],
    write_tree: Callable[[Path, Files], Path],
) -> None:
    write_tree(root, {"train/cover.jpg": None, "extra/x/y.jpg": None})
    found = find("dermnet", root)
    assert len(found.images) == len(FILES)
    assert any("2 images lie in no class folder below train or test" in r for r in found.remarks)
    other = write_tree(tmp_path / "other", {"a/b.jpg": None})
    with pytest.raises(InputError, match="holds no images in"):
        find("dermnet", other)
