import numpy as np
import pytest
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_files import write_png
from hzsynth.core.image_set import ImageRecord, ImageSet, TrainingImage
from hzsynth.core.image_set_writer import ImageSetWriter


def _pixels(seed, size=24):
    return np.random.default_rng(seed).integers(0, 256, (size, size + 4, 3), dtype=np.uint8)


def _write(path, count=3, **kwargs):
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


def test_what_is_written_is_read_back_the_same(tmp_path):
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


def test_copying_keeps_the_bytes_and_changes_only_what_is_asked(tmp_path):
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


def test_a_photograph_of_nobody_known_is_its_own_patient():
    assert ImageRecord("a.png", "x", group="7", sha256="ab").patient == "7"
    assert ImageRecord("a.png", "x", sha256="ab").patient == "ab"


def test_a_picture_is_written_as_it_is(tmp_path):
    pixels = _pixels(0)
    for name, picture in {"upright": pixels, "mirrored": pixels[:, ::-1]}.items():
        path = tmp_path / "new folder" / f"{name}.png"
        write_png(path, picture)
        with Image.open(path) as read:
            assert read.info == {}
            np.testing.assert_array_equal(np.asarray(read), picture)


def test_an_error_in_the_middle_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError), ImageSetWriter(tmp_path / "a") as writer:
        writer.add(_pixels(0), label="x", origin="real")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_existing_set_is_replaced_only_by_force(tmp_path):
    _write(tmp_path / "a")
    with pytest.raises(InputError, match="already exists"):
        _write(tmp_path / "a")
    _write(tmp_path / "a", count=1, force=True)
    assert len(ImageSet.load(tmp_path / "a")) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        ImageSetWriter(tmp_path / "home", force=True)
    assert (tmp_path / "home" / "thesis.txt").exists()


@pytest.mark.parametrize("name", ["../outside.png", "/etc/passwd", "a/../../b.png", "..\\b.png"])
def test_a_table_cannot_point_outside_its_folder(tmp_path, name):
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
def test_a_wrong_value_in_the_table_is_named(tmp_path, old, new, message):
    with ImageSetWriter(tmp_path / "a") as writer:
        writer.add(_pixels(0), label="x", origin="real", split="train")
    table = tmp_path / "a" / "metadata.csv"
    text = table.read_text()
    table.write_text(
        text.replace(old, new) if old != "train" else text.replace("x,train", "x,trian")
    )
    with pytest.raises(InputError, match=message):
        ImageSet.load(tmp_path / "a")


def test_the_digest_depends_on_content_label_and_split_but_not_on_order(tmp_path):
    images = _write(tmp_path / "a")
    turned = ImageSet(images.root, images.records[::-1])
    assert turned.digest == images.digest
    assert images.select(label="other").digest != images.digest
    from dataclasses import replace

    moved = [replace(images.records[0], split="test"), *images.records[1:]]
    assert ImageSet(images.root, moved).digest != images.digest
