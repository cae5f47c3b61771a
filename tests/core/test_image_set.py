import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hzsynth.core.copy_evidence import CopyEvidence
from hzsynth.core.errors import InputError
from hzsynth.core.image_files import write_png
from hzsynth.core.image_record import ImageRecord, TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter


def _pixels(seed: Any, size: Any = 24) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (size, size + 4, 3), dtype=np.uint8)


def _write(path: Any, count: Any = 3, **kwargs: Any) -> Any:
    with ImageSetWriter(path, **kwargs) as writer:
        for seed in range(count):
            mask = np.zeros((24, 28), dtype=bool)
            mask[3:9, 4:7] = True
            writer.add(
                _pixels(seed),
                label="대상포진",
                split="train",
                group=f"00{seed}",
                origin="real",
                parents=("ab", "cd"),
                mask=mask,
                extra={"tone": "light"},
            )
        writer.add_lineage("gan-1", [TrainingImage("aa", "", "7")])
    return writer.images


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    written = _write(tmp_path / "세트")
    read = ImageSet.load(tmp_path / "세트")
    assert read.records == written.records
    assert read.digest == written.digest
    assert read.records[0].group == "000"
    assert read.records[0].parents == ("ab", "cd")
    assert (read.records[0].width, read.records[0].height) == (28, 24)
    assert read.records[0].extra == {"tone": "light"}
    assert read.read_mask(read.records[1]).sum() == 18
    assert read.lineage == {"gan-1": (TrainingImage("aa", "", "7"),)}


def test_copying_keeps_the_bytes_and_changes_only_what_is_asked(tmp_path: Path) -> None:
    source = _write(tmp_path / "a")
    with ImageSetWriter(tmp_path / "b") as writer:
        for record in source:
            writer.copy(source, record, split="test")
        writer.inherit(source)
    copied = ImageSet.load(tmp_path / "b")
    assert [r.sha256 for r in copied] == [r.sha256 for r in source]
    assert {r.split for r in copied} == {"test"}
    assert copied.read_bytes(copied.records[2]) == source.read_bytes(source.records[2])
    assert copied.lineage == source.lineage


def test_a_photograph_of_nobody_known_is_its_own_patient() -> None:
    assert ImageRecord("a.png", "x", group="7", sha256="ab").patient == "7"
    assert ImageRecord("a.png", "x", sha256="ab").patient == "ab"


def test_a_picture_is_written_as_it_is(tmp_path: Path) -> None:
    pixels = _pixels(0)
    for name, picture in {"upright": pixels, "mirrored": pixels[:, ::-1]}.items():
        path = tmp_path / "new folder" / f"{name}.png"
        write_png(path, picture)
        with Image.open(path) as read:
            assert read.info == {}
            np.testing.assert_array_equal(np.asarray(read), picture)


def test_an_error_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), ImageSetWriter(tmp_path / "a") as writer:
        writer.add(_pixels(0), label="x", origin="real")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_existing_set_is_replaced_only_by_force(tmp_path: Path) -> None:
    _write(tmp_path / "a")
    with pytest.raises(InputError, match="already exists"):
        _write(tmp_path / "a")
    _write(tmp_path / "a", count=1, force=True)
    assert len(ImageSet.load(tmp_path / "a")) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        ImageSetWriter(tmp_path / "home", force=True)
    assert (tmp_path / "home" / "thesis.txt").exists()


@pytest.mark.parametrize("name", ["../outside.png", "/etc/passwd", "a/../../b.png", "..\\b.png"])
def test_a_table_cannot_point_outside_its_folder(tmp_path: Path, name: str) -> None:
    _write(tmp_path / "a", count=1)
    table = tmp_path / "a" / "metadata.csv"
    record = ImageSet.load(tmp_path / "a").records[0]
    table.write_text(table.read_text().replace(record.file_name, name))
    with pytest.raises(InputError, match="outside"):
        ImageSet.load(tmp_path / "a")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train", "trian", "split is"),
        (",real,", ",painted,", "origin is"),
        (",28,", ",wide,", "px|pix"),
    ],
)
def test_a_wrong_value_in_the_table_is_named(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with ImageSetWriter(tmp_path / "a") as writer:
        writer.add(_pixels(0), label="x", origin="real", split="train")
    table = tmp_path / "a" / "metadata.csv"
    text = table.read_text()
    table.write_text(
        text.replace(old, new) if old != "train" else text.replace("x,train", "x,trian")
    )
    with pytest.raises(InputError, match=message):
        ImageSet.load(tmp_path / "a")


def test_the_digest_depends_on_content_label_and_split_but_not_on_order(tmp_path: Path) -> None:
    images = _write(tmp_path / "a")
    turned = ImageSet(images.root, images.records[::-1])
    assert turned.digest == images.digest
    assert images.select(label="other").digest != images.digest
    from dataclasses import replace

    moved = [replace(images.records[0], split="test"), *images.records[1:]]
    assert ImageSet(images.root, moved).digest != images.digest


def test_a_set_says_what_it_holds(tmp_path: Path) -> None:
    images = _write(tmp_path / "a", 1)
    assert repr(images) == (
        f"<ImageSet '{tmp_path / 'a'}': 1 image; classes: 대상포진 1; splits: train 1; origins: real 1>"
    )
    assert repr(images[:0]) == f"<ImageSet '{tmp_path / 'a'}': 0 images>"


def test_a_set_is_indexed_like_its_records(tmp_path: Path) -> None:
    images = _write(tmp_path / "a", 5)
    assert images[0] is images.records[0]
    assert images[-1] is images.records[-1]
    assert images[np.int64(2)] is images.records[2]
    assert images[1:4].records == images.records[1:4]
    assert images[1:4].lineage == images.lineage
    with pytest.raises(IndexError):
        images[5]


def test_paths_may_be_text(tmp_path: Path) -> None:
    written = _write(str(tmp_path / "a"), 2)
    assert ImageSet.load(str(tmp_path / "a")).records == written.records


def test_a_table_in_memory_is_the_table_on_disk(tmp_path: Path) -> None:
    images = _write(tmp_path / "a")
    frame = images.to_frame()
    assert frame["width"].tolist() == [28, 28, 28]
    assert frame["parents"].tolist() == ["ab cd"] * 3
    assert frame["tone"].tolist() == ["light"] * 3
    again = ImageSet.from_frame(frame, tmp_path / "a")
    assert (again.records, again.lineage) == (images.records, images.lineage)
    chosen = ImageSet.from_frame(frame[frame["group"] == "001"], str(tmp_path / "a"))
    assert [r.group for r in chosen] == ["001"]
    assert chosen.read_pixels(chosen[0]).shape == (24, 28, 3)


def test_a_table_in_memory_is_checked_like_one_on_disk(tmp_path: Path) -> None:
    frame = _write(tmp_path / "a").to_frame()
    with pytest.raises(InputError, match="lacks the columns split"):
        ImageSet.from_frame(frame.drop(columns="split"), tmp_path / "a")
    with pytest.raises(InputError, match="split is train, val, test or empty, not 'exam'"):
        ImageSet.from_frame(frame.assign(split="exam"), tmp_path / "a")
    with pytest.raises(InputError, match="outside its folder"):
        ImageSet.from_frame(frame.assign(file_name="../secret.png"), tmp_path / "a")
    assert ImageSet.from_frame(frame.assign(licence=np.nan), tmp_path / "a")[0].licence == ""


def test_torch_gets_the_pixels_and_the_places_of_the_classes(tmp_path: Path) -> None:
    images = _write(tmp_path / "a", 2)
    whole = images.to_torch()
    picture, target = whole[1]
    assert (len(whole), target, picture.dtype) == (2, 0, torch.uint8)
    np.testing.assert_array_equal(picture.permute(1, 2, 0).numpy(), _pixels(1))
    small = images.to_torch(8, labels=("eczema", "대상포진"), transform=torch.neg)
    batch, targets = next(iter(torch.utils.data.DataLoader(small, batch_size=2)))
    assert (batch.shape, targets.tolist()) == ((2, 3, 8, 8), [1, 1])
    with pytest.raises(InputError, match="`labels` is eczema: it lacks 대상포진"):
        images.to_torch(labels=("eczema",))


def test_a_notebook_shows_a_few_images_and_never_more(tmp_path: Path) -> None:
    shown = _write(tmp_path / "a", 30)._repr_html_()
    assert shown.count("data:image/jpeg;base64,") == 24
    assert "30 images" in shown
    assert "대상포진 30" in shown
    assert "0 images" in _write(tmp_path / "b", 0)._repr_html_()


def test_a_notebook_takes_no_markup_from_a_label_and_survives_a_lost_file(tmp_path: Path) -> None:
    images = ImageSet(tmp_path, [ImageRecord("gone.png", "<script>x</script>")])
    assert "<script>" not in images._repr_html_()
    assert "cannot be read" in images._repr_html_()


def test_the_digest_knows_masks_and_soft_labels(tmp_path: Path) -> None:
    def digest(name: Any, mask: Any = None, extra: Any = None) -> Any:
        with ImageSetWriter(tmp_path / name) as writer:
            writer.add(_pixels(0), label="x", origin="real", mask=mask, extra=extra)
        return ImageSet.load(tmp_path / name).digest

    half, whole = np.zeros((24, 28), bool), np.ones((24, 28), bool)
    half[:12] = True
    plain = digest("plain")
    # What a set without masks and further columns has had since the first version.
    record = ImageSet.load(tmp_path / "plain")[0]
    text = "\x1f".join((record.sha256, "x", "", "", "real")) + "\x1e"
    assert plain == hashlib.sha256(text.encode()).hexdigest()
    others = [
        digest("half", half),
        digest("whole", whole),
        digest("soft", extra={"soft_label": "x:0.6 y:0.4"}),
        digest("softer", extra={"soft_label": "x:0.5 y:0.5"}),
    ]
    assert len({plain, *others}) == 5
    assert digest("again", half) == others[0]
    assert digest("empty column", extra={"soft_label": ""}) == plain


def test_what_was_found_of_copies_travels(tmp_path: Path) -> None:
    search = CopyEvidence({"aa": 0, "bb": 0, "cc": 1}, version=3, crops=True)
    with ImageSetWriter(tmp_path / "a") as writer:
        writer.add(_pixels(0), label="x", origin="real")
        writer.add_copy_evidence(search)
    images = ImageSet.load(tmp_path / "a")
    assert images.copy_evidence == (search,)
    assert images[:0].copy_evidence == (search,)
    with ImageSetWriter(tmp_path / "b") as writer:
        writer.inherit(images)
    assert ImageSet.load(tmp_path / "b").copy_evidence == (search,)
    (tmp_path / "b" / "copies" / f"{search.name}.csv").write_text("sha256,photograph\naa,1\n")
    with pytest.raises(InputError, match="not the evidence of one search"):
        ImageSet.load(tmp_path / "b")
