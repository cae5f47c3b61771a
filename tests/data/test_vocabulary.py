"""Class maps, the check of the target class, and sets that are merged."""

from pathlib import Path

import pytest
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.data.importing import import_images
from hzsynth.data.merging import merged
from hzsynth.data.sources.base import Found, Location, SourceImage
from hzsynth.data.sources.folder import find_folder
from hzsynth.data.vocabulary import (
    ORIGINAL_LABEL,
    apply_class_map,
    check_target,
    means_zoster,
    read_class_map,
    zoster_neighbour,
)


def _found(*labels: str) -> Found:
    return Found(
        tuple(
            SourceImage(Location(Path(f"{i}.png")), f"{i}.png", la) for i, la in enumerate(labels)
        )
    )


@pytest.mark.parametrize(
    "name", ["Herpes_Zoster", "herpes zoster", "VI-shingles", "Shingles", "대상포진", "ZOSTER"]
)
def test_names_of_zoster(name: str) -> None:
    assert means_zoster(name)
    assert not zoster_neighbour(name)


@pytest.mark.parametrize(
    "name",
    [
        "Herpes_Simplex_Virus", "Varicella", "chicken-pox", "pemphigoid gestationis",
        "Herpes gestationis", "dermatitis herpetiformis", "단순포진", "수두", "HSV-1",
    ],
)  # fmt: skip
def test_names_of_its_neighbours(name: str) -> None:
    assert zoster_neighbour(name)
    assert not means_zoster(name)


def test_other_diseases_are_neither() -> None:
    for name in ("eczema", "cellulitis", "Warts Molluscum and other Viral Infections", "normal"):
        assert not means_zoster(name)
        assert not zoster_neighbour(name)


@pytest.mark.parametrize("form", ["toml", "csv", "csv in cp949"])
def test_a_class_map_renames_drops_and_takes_the_rest(tmp_path: Path, form: str) -> None:
    if form == "toml":
        path = tmp_path / "map.toml"
        path.write_text('[classes]\n"대상포진" = "herpes_zoster"\nacne = ""\n"*" = "other"\n')
    else:
        path = tmp_path / "map.csv"
        text = "from,to\n대상포진,herpes_zoster\nacne,\n*,other\n"
        path.write_bytes(text.encode("cp949" if form.endswith("cp949") else "utf-8-sig"))
    found = _found("대상포진", "acne", "eczema", "대상포진")
    mapped = apply_class_map(found, read_class_map(path))
    assert [image.label for image in mapped.images] == ["herpes_zoster", "other", "herpes_zoster"]
    assert mapped.images[0].extra[ORIGINAL_LABEL] == "대상포진"
    assert mapped.remarks == ("the class map dropped 1 images of 'acne'",)


def test_wrong_class_maps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the class map"):
        read_class_map(tmp_path / "none.toml")
    (tmp_path / "a.toml").write_text("[classes\n")
    with pytest.raises(InputError, match="not valid TOML"):
        read_class_map(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text("[classes]\na = 1\n")
    with pytest.raises(InputError, match=r"\[classes\]"):
        read_class_map(tmp_path / "a.toml")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="columns 'from' and 'to'"):
        read_class_map(tmp_path / "a.csv")
    with pytest.raises(InputError, match="'x', which is not there"):
        apply_class_map(_found("a"), {"x": "y"})
    with pytest.raises(InputError, match="drops every class"):
        apply_class_map(_found("a"), {"*": ""})


def test_a_neighbour_in_the_target_class_is_refused() -> None:
    found = apply_class_map(
        _found("Herpes_Zoster", "Herpes_Simplex_Virus"),
        {"Herpes_Zoster": "zoster", "Herpes_Simplex_Virus": "zoster"},
    )
    with pytest.raises(InputError, match="'Herpes_Simplex_Virus'.*another virus"):
        check_target(found.images, "zoster")
    with pytest.raises(InputError, match="not a class"):
        check_target(found.images, "shingles")


def test_doubtful_and_forgotten_names_are_remarked() -> None:
    found = apply_class_map(
        _found("Herpes_Zoster", "viral", "shingles"),
        {"Herpes_Zoster": "zoster", "viral": "zoster", "shingles": "other"},
    )
    remarks = check_target(found.images, "zoster")
    assert len(remarks) == 2
    assert "'viral'" in remarks[0] + remarks[1]
    assert "'shingles' are in the class 'other'" in remarks[0] + remarks[1]
    assert check_target(_found("Herpes_Zoster", "varicella").images, "Herpes_Zoster") == ()
    # Another disease as the target: its neighbours are not known here.
    assert check_target(_found("varicella", "eczema").images, "varicella") == ()


def test_merged_sets_keep_patients_apart_and_say_where_images_come_from(tmp_path: Path) -> None:
    for number, name in enumerate(("clinic", "archive")):
        folder = tmp_path / name
        (folder / "zoster").mkdir(parents=True)
        Image.new("RGB", (20, 20), (200, 100 + 50 * number, 90)).save(folder / "zoster" / "a.png")
        (folder / "metadata.csv").write_text("file_name,label,group\nzoster/a.png,zoster,7\n")
    images = import_images(
        merged([tmp_path / "clinic", tmp_path / "archive"]), tmp_path / "set"
    ).images
    assert [r.source for r in images] == ["clinic", "archive"]
    assert [r.group for r in images] == ["clinic/7", "archive/7"]
    assert len({r.file_name for r in images}) == 2
    again = find_folder(tmp_path / "set")
    assert [image.group for image in again.images] == ["clinic/7", "archive/7"]
    twice = merged([tmp_path / "set", tmp_path / "set"])
    assert {image.group for image in twice.images} == {"clinic/7", "archive/7"}


def test_one_person_seen_by_two_devices_stays_one_person(tmp_path: Path) -> None:
    for device in ("camera", "phone"):
        (tmp_path / device / "normal").mkdir(parents=True)
        Image.new("RGB", (20, 20), (200, 150, 90)).save(tmp_path / device / "normal" / "a.png")
        row = f"normal/a.png,normal,AI-Hub 71645/0002,AI-Hub 71645/{device}"
        (tmp_path / device / "metadata.csv").write_text(f"file_name,label,group,source\n{row}\n")
    found = merged([tmp_path / "camera", tmp_path / "phone"])
    assert {image.group for image in found.images} == {"AI-Hub 71645/0002"}
    assert len({image.source for image in found.images}) == 2
