"""AI-Hub 71645: crops of healthy skin, never a face, whatever the folders are called."""

import json
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.data.sources.base import Found
from tests.data.sources.conftest import Files

DEVICES = ("1. 디지털카메라", "2. 스마트패드", "3. 스마트폰")
BOX = {
    0: [1, 1, 20, 20],
    1: [4, 2, 12, 6],
    5: [2, 8, 8, 14],
    6: [10, 8, 16, 14],
    7: [8, 14, 12, 16],
}
PEOPLE = {
    "0002": {"age": 25, "gender": "F", "skin_type": 1, "sensitive": 0},
    "0003": {"age": 44, "gender": "M", "skin_type": 3, "sensitive": 1},
    "0500": {"age": 31, "gender": "F", "skin_type": 0, "sensitive": 1},
}


def _label(person: str, device: int, view: str, part: int, **changes: object) -> dict[str, object]:
    annotations: dict[str, object] = {"acne": None} if part == 0 else {"forehead_wrinkle": 2}
    label: dict[str, object] = {
        "info": {
            "filename": f"{person}_0{device + 1}_{view}.jpg",
            "id": person,
            "date": "2023-07-01",
            **PEOPLE[person],
        },
        "images": {
            "device": device, "width": 24, "height": 20, "angle": 0, "facepart": part,
            "bbox": BOX.get(part, [0, 0, 4, 4]),
        },
        "annotations": annotations,
        "equipment": {"forehead_moisture": 60.1},
    }  # fmt: skip
    for key, value in changes.items():
        table, _, name = key.partition("__")
        if name:
            label[table][name] = value  # type: ignore[index]
        else:
            label[table] = value
    return label


class Release:
    """The files of a release, to be changed and written by a test."""

    def __init__(self, picture: Any) -> None:
        self._picture = picture
        self.labels: dict[tuple[str, int, str, int], dict[str, object]] = {}
        for person in PEOPLE:
            for device, view in [(0, "F"), (0, "L15"), (1, "F"), (2, "F")]:
                for part in BOX:
                    key = (person, device, view, part)
                    self.labels[key] = _label(*key)

    def files(self, pattern: str, encoding: str = "utf-8") -> tuple[dict[str, Any], dict[str, Any]]:
        """Pictures and labels by path; the pattern has tree, kind, device, person."""
        pictures: dict[str, Any] = {}
        labels: dict[str, Any] = {}
        for (person, device, view, part), label in self.labels.items():
            stem = f"{person}_0{device + 1}_{view}"
            tree = "Validation" if person == "0500" else "Training"
            at = {"tree": tree, "t": tree[0], "device": DEVICES[device], "person": person}
            folder = pattern.format(kind="01.원천데이터", k="S", **at)
            name = f"{folder}/{stem}.jpg".lstrip("/")
            pictures.setdefault(name, self._picture(24, 20, "PNG"))
            folder = pattern.format(kind="02.라벨링데이터", k="L", **at)
            text = json.dumps(label, ensure_ascii=False)
            labels[f"{folder}/{stem}_{part:02}.json".lstrip("/")] = text.encode(encoding)
        return pictures, labels


PUBLISHED = "{tree}/{kind}/{t}{k}/{device}/{person}"


@pytest.fixture
def release(picture: Callable[..., bytes]) -> Release:
    return Release(picture)


@pytest.fixture
def write(release: Release, tmp_path: Path, write_tree: Callable[[Path, Files], Path]) -> Any:
    def call(pattern: str = PUBLISHED, encoding: str = "utf-8") -> Path:
        pictures, labels = release.files(pattern, encoding)
        return write_tree(tmp_path / "aihub", {**pictures, **labels})

    return call


def test_crops_of_forehead_and_cheeks(
    write: Any, find: Callable[..., Found], take: Callable[[Found], ImageSet]
) -> None:
    images = take(find("aihub-skin", write()))
    # Three people, three devices, three parts; only the frontal view.
    assert len(images) == 27
    assert images.labels == ("normal",)
    assert Counter(r.extra["part"] for r in images) == {"1": 9, "5": 9, "6": 9}
    assert {r.extra["view"] for r in images} == {"F"}
    assert {(r.width, r.height) for r in images} == {(8, 4), (6, 6)}
    assert {r.group for r in images} == {f"AI-Hub 71645/{person}" for person in PEOPLE}
    assert {r.source for r in images} == {
        f"AI-Hub 71645/{device}" for device in ("camera", "pad", "phone")
    }
    assert {r.licence for r in images} == {"AI-Hub 71645: training use only, no redistribution"}
    assert {r.split for r in images} == {""}
    young = next(r for r in images if r.group.endswith("0002"))
    assert {k: young.extra[k] for k in ("age", "gender", "skin_type", "sensitive")} == {
        "age": "25", "gender": "F", "skin_type": "1", "sensitive": "0",
    }  # fmt: skip


def test_a_crop_is_the_box_of_its_part(
    write: Any, find: Callable[..., Found], take: Callable[[Found], ImageSet]
) -> None:
    root = write()
    images = take(find("aihub-skin", root, device="phone", parts="1"))
    record = next(r for r in images if r.group.endswith("0003"))
    whole = np.asarray(Image.open(next(root.rglob("0003_03_F.jpg"))))
    crop = np.asarray(Image.open(images.path(record)))
    assert np.array_equal(crop, whole[2:6, 4:12])
    assert len(record.parents) == 1


@pytest.mark.parametrize(
    "pattern",
    [
        PUBLISHED,
        unicodedata.normalize("NFD", PUBLISHED),
        "extracted/{tree}/{kind}/{device}/{person}",
        "",
        "english/{t}{k}/camera or pad/{person}",
    ],
    ids=["published", "macos", "extracted", "flat", "english"],
)
def test_pictures_are_found_by_their_name(
    write: Any, find: Callable[..., Found], pattern: str
) -> None:
    assert len(find("aihub-skin", write(pattern)).images) == 27


def test_folders_may_contradict_the_label(write: Any, find: Callable[..., Found]) -> None:
    root = write()
    picture = next(root.rglob("0002_01_F.jpg"))
    # Among the pictures of the phone, and with another suffix.
    picture.rename(next(root.rglob("0002_03_F.jpg")).parent / "0002_01_F.JPEG")
    found = find("aihub-skin", root)
    assert len(found.images) == 27
    assert {i.source for i in found.images if i.name.startswith("0002_01")} == {
        "AI-Hub 71645/camera"
    }


class _Unflagged(zipfile.ZipInfo):
    """A member whose name is written as these bytes, without the UTF-8 flag."""

    raw: bytes

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile's own name
        return self.raw, 0


def _zips(release: Release, root: Path, kinds: tuple[str, ...], encoding: str) -> None:
    """TS, TL, VS, VL beside each other, their names in an encoding without the UTF-8 flag."""
    pictures, labels = release.files("{t}{k}/{device}/{person}")
    for kind in kinds:
        content = {n: d for n, d in {**pictures, **labels}.items() if n.startswith(f"{kind}/")}
        path = root / f"{kind}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                info = _Unflagged(name)
                info.raw = name.removeprefix(f"{kind}/").encode(encoding)
                archive.writestr(info, data)


@pytest.mark.parametrize("encoding", ["cp949", "utf-8"])
def test_zips_with_korean_names(
    release: Release,
    tmp_path: Path,
    find: Callable[..., Found],
    take: Callable[[Found], ImageSet],
    encoding: str,
) -> None:
    _zips(release, tmp_path / "zips", ("TS", "TL", "VS", "VL"), encoding)
    found = find("aihub-skin", tmp_path / "zips", split="published")
    assert Counter(i.split for i in found.images) == {"train": 18, "val": 9}
    assert all(i.location.member for i in found.images)
    assert len(take(found)) == 27


def test_zips_beside_extracted_files(
    release: Release,
    tmp_path: Path,
    find: Callable[..., Found],
    write_tree: Callable[[Path, Files], Path],
) -> None:
    root = tmp_path / "both"
    pictures, labels = release.files("{t}{k}/{device}/{person}")
    extracted = {n: d for n, d in {**pictures, **labels}.items() if n[:3] in ("TS/", "TL/")}
    write_tree(root, extracted)
    _zips(release, root, ("TS", "VS", "VL"), "cp949")
    found = find("aihub-skin", root)
    assert len(found.images) == 27
    assert sum(bool(i.location.member) for i in found.images) == 9
    assert any("pictures are there twice" in r for r in found.remarks)


def test_the_published_split(write: Any, find: Callable[..., Found]) -> None:
    found = find("aihub-skin", write(), split="published")
    assert Counter(i.split for i in found.images) == {"train": 18, "val": 9}
    assert {i.group for i in found.images if i.split == "val"} == {"AI-Hub 71645/0500"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949"])
def test_labels_in_other_encodings(
    release: Release, write: Any, find: Callable[..., Found], encoding: str
) -> None:
    for label in release.labels.values():
        label["info"]["place"] = "피부"  # type: ignore[index]
    assert len(find("aihub-skin", write(encoding=encoding)).images) == 27


@pytest.mark.parametrize("value", [[], None, "none", [1]])
def test_equipment_may_not_be_a_table(
    release: Release, write: Any, find: Callable[..., Found], value: object
) -> None:
    for label in release.labels.values():
        label["equipment"] = value
    assert len(find("aihub-skin", write()).images) == 27


@pytest.mark.parametrize(
    ("box", "why"),
    [
        (None, "the part has no box"),
        ([4, 2, 4, 9], "the box is empty"),
        ([9, 2, 4, 9], "the box is empty"),
        ([1, 2, 3], "not four numbers"),
        ("1,2,3,4", "not four numbers"),
        ([0, 0, 24, 20], "as large as a face"),
    ],
)
def test_boxes_that_are_none(
    release: Release, write: Any, find: Callable[..., Found], box: object, why: str
) -> None:
    release.labels["0002", 0, "F", 1]["images"]["bbox"] = box  # type: ignore[index]
    found = find("aihub-skin", write())
    assert len(found.images) == 26
    assert any(r.startswith("1 parts are left out") and why in r for r in found.remarks)


def test_boxes_of_a_picture_that_was_made_smaller(
    write: Any, find: Callable[..., Found], picture: Callable[..., bytes]
) -> None:
    # Cut to a picture of 8 x 6, the box of the forehead would be nearly all of it.
    root = write()
    next(root.rglob("0002_01_F.jpg")).write_bytes(picture(8, 6, "JPEG"))
    found = find("aihub-skin", root)
    assert len(found.images) == 24
    why = "3 parts are left out: the picture is not of the size that its label tells"
    assert why in found.remarks


@pytest.mark.parametrize(("stored", "count"), [((20, 24), 27), ((24, 20), 24)])
def test_sizes_are_those_of_the_upright_picture(
    write: Any, find: Callable[..., Found], stored: tuple[int, int], count: int
) -> None:
    root = write()
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", stored).save(next(root.rglob("0002_01_F.jpg")), "JPEG", exif=exif)
    assert len(find("aihub-skin", root).images) == count


def test_pictures_that_cannot_be_read(write: Any, find: Callable[..., Found]) -> None:
    root = write()
    next(root.rglob("0002_01_F.jpg")).write_bytes(b"no picture")
    assert "3 parts are left out: the picture cannot be read" in find("aihub-skin", root).remarks


def test_faces_with_acne_are_left_out(
    release: Release, write: Any, find: Callable[..., Found]
) -> None:
    release.labels["0002", 0, "F", 0]["annotations"] = {"acne": [[1, 2, 3, 4]]}
    release.labels["0002", 0, "L15", 0]["annotations"] = {"acne": [[1, 2, 3, 4]]}
    root = write()
    found = find("aihub-skin", root)
    # The label of another view does not count.
    assert len(found.images) == 24
    assert "3 parts are left out: the face has acne" in found.remarks
    assert len(find("aihub-skin", root, acne="any").images) == 27


def test_without_a_label_of_the_face_nothing_is_known(
    release: Release, write: Any, find: Callable[..., Found]
) -> None:
    del release.labels["0002", 0, "F", 0]
    release.labels["0003", 0, "F", 0]["annotations"] = {}
    found = find("aihub-skin", write())
    assert len(found.images) == 21
    assert any(r.startswith("6 parts") and "no label of the whole face" in r for r in found.remarks)


@pytest.mark.parametrize(
    ("options", "people"),
    [
        ({"age": "20-39"}, {"0002", "0500"}),
        ({"sensitive": "1"}, {"0003", "0500"}),
        ({"skin_type": ["0", "1"]}, {"0002", "0500"}),
        ({"gender": "m"}, {"0003"}),
        ({"gender": "F", "sensitive": "0"}, {"0002"}),
    ],
)
def test_filters_of_people(
    write: Any,
    find: Callable[..., Found],
    options: dict[str, str] | dict[str, list[str]],
    people: set[str],
) -> None:
    found = find("aihub-skin", write(), **options)
    assert {i.group.rsplit("/", 1)[1] for i in found.images} == people
    assert len(found.images) == 9 * len(people)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"device": "camera"}, 9),
        ({"device": ["pad", "phone"]}, 18),
        ({"view": "L15"}, 9),
        ({"view": ["F", "L15"]}, 36),
        ({"parts": "7"}, 9),
        ({"parts": ["1", "7"]}, 18),
        ({"annotation": "forehead_wrinkle:0-2"}, 27),
    ],
)
def test_filters_of_pictures(
    write: Any,
    find: Callable[..., Found],
    options: dict[str, str] | dict[str, list[str]],
    count: int,
) -> None:
    assert len(find("aihub-skin", write(), **options).images) == count


def test_annotations_as_filters(release: Release, write: Any, find: Callable[..., Found]) -> None:
    release.labels["0002", 0, "F", 1]["annotations"] = {"forehead_wrinkle": 5}
    release.labels["0002", 0, "F", 5]["annotations"] = {"cheek_pore": 5}
    root = write()
    found = find("aihub-skin", root, annotation="forehead_wrinkle:0-3")
    assert len(found.images) == 26
    with pytest.raises(InputError, match=r"annotation 'wrinkle'; there are acne|cheek_pore"):
        find("aihub-skin", root, annotation="wrinkle:1")


@pytest.mark.parametrize(
    "options",
    [
        {"parts": "0"}, {"parts": "9"}, {"view": "B"}, {"device": "film"}, {"age": "young"},
        {"acne": "some"}, {"annotation": "wrinkle"}, {"split": "8_2/0"}, {"label": ""},
        {"face": "1"},
    ],
)  # fmt: skip
def test_wrong_settings(write: Any, find: Callable[..., Found], options: dict[str, str]) -> None:
    with pytest.raises(InputError, match="^`|unknown configuration key"):
        find("aihub-skin", write(), **options)


def test_a_label_of_ones_own(write: Any, find: Callable[..., Found]) -> None:
    assert {i.label for i in find("aihub-skin", write(), label="healthy").images} == {"healthy"}


def test_missing_pictures_labels_and_damage(
    write: Any, find: Callable[..., Found], write_tree: Callable[[Path, Files], Path]
) -> None:
    root = write()
    next(root.rglob("0002_01_F.jpg")).unlink()
    next(root.rglob("0003_01_F_05.json")).write_text("{'info'")
    write_tree(root, {"Training/0009_01_F.jpg": None, "Training/0009_01_R30.jpg": None})
    write_tree(root, {"meta.csv": "번호,이름\n", "other_F_01.json": "[1]"})
    found = find("aihub-skin", root)
    assert len(found.images) == 23
    text = "\n".join(found.remarks)
    assert "3 labelled pictures are missing, the first is '0002_01_F.jpg'" in text
    assert "2 label files cannot be read" in text
    assert (
        "1 pictures have no label and are left out, the first is 'Training/0009_01_F.jpg'" in text
    )


def test_counts_differ_from_the_published_ones(
    write: Any, find: Callable[..., Found], tmp_path: Path
) -> None:
    remarks = find("aihub-skin", write()).remarks
    assert "2 subjects of the train part are here, published are 858" in remarks
    assert "1 subjects of the val part are here, published are 107" in remarks


def test_counts_of_a_flat_layout(write: Any, find: Callable[..., Found]) -> None:
    assert "3 subjects are here, published are 965" in find("aihub-skin", write("")).remarks


def test_nothing_passes(
    write: Any,
    find: Callable[..., Found],
    tmp_path: Path,
    write_tree: Callable[[Path, Files], Path],
) -> None:
    with pytest.raises(InputError, match="no part of a face that passes the filters: 27 parts"):
        find("aihub-skin", write(), age="90-99")
    with pytest.raises(InputError, match="holds no labels of the wanted views, expected AI-Hub"):
        find("aihub-skin", write_tree(tmp_path / "empty", {"a.jpg": None}))
