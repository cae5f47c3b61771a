"""Folders as users have them."""

import io
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import zoom

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.phash import perceptual_hash
from hzsynth.core.photos import square
from hzsynth.data.importing import import_images
from hzsynth.data.loading import load_pixels, open_images, scan_images
from hzsynth.data.sources.folder import find_folder
from hzsynth.data.sources.registry import KINDS, SOURCES, source_of

KOREAN = "대상포진"


def _photo(seed: Any, size: Any = (32, 24)) -> Any:
    noise = np.random.default_rng(seed).uniform(0, 1, (4, 5, 3))
    pixels = zoom(noise, (size[1] / 4, size[0] / 5, 1), order=1)
    return Image.fromarray((pixels * 255).astype(np.uint8))


def _jpeg(seed: Any) -> Any:
    buffer = io.BytesIO()
    _photo(seed).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _put(root: Any, name: Any, seed: Any = 0) -> Any:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_jpeg(seed))
    return path


def test_class_folders_are_read_with_hash_and_size(tmp_path: Path) -> None:
    _put(tmp_path, "eczema/a.jpg", 1)
    _put(tmp_path, "eczema/deeper/b.JPG", 2)
    _put(tmp_path, "herpes_zoster/c.webp", 3)
    images = open_images(tmp_path)
    assert [(r.label, r.file_name) for r in images] == [
        ("eczema", "eczema/a.jpg"),
        ("eczema", "eczema/deeper/b.JPG"),
        ("herpes_zoster", "herpes_zoster/c.webp"),
    ]
    record = images.records[0]
    pixels = np.asarray(Image.open(io.BytesIO(_jpeg(1))))
    assert (record.width, record.height) == (32, 24)
    assert record.phash == perceptual_hash(pixels)
    import hashlib

    assert record.sha256 == hashlib.sha256(_jpeg(1)).hexdigest()
    assert record.origin == "real"


def test_system_files_are_no_images(tmp_path: Path) -> None:
    _put(tmp_path, "eczema/a.jpg")
    _put(tmp_path, "eczema/._a.jpg")
    _put(tmp_path, "__MACOSX/eczema/a.jpg")
    _put(tmp_path, ".git/a.jpg")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "notes.txt", "labels.csv"):
        (tmp_path / "eczema" / name).write_bytes(b"no image")
    assert [r.file_name for r in open_images(tmp_path)] == ["eczema/a.jpg"]


def test_an_image_without_a_known_suffix_is_found(tmp_path: Path) -> None:
    _put(tmp_path, "eczema/IMG_0001")
    assert len(open_images(tmp_path)) == 1


def test_composed_and_decomposed_names_are_one_class(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", KOREAN)
    _put(tmp_path, f"{KOREAN}/a.jpg", 1)
    _put(tmp_path, f"{decomposed}/나.jpg", 2)
    images = open_images(tmp_path)
    assert images.labels == (KOREAN,)
    # Files are opened by the names that they have on disk.
    assert load_pixels(images, 8).shape == (2, 3, 8, 8)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Validation")])
def test_splits_as_the_first_level(tmp_path: Path, names: tuple[str, ...]) -> None:
    for number, name in enumerate(names):
        _put(tmp_path, f"{name}/eczema/{number}.jpg", number)
    images = open_images(tmp_path)
    assert [r.split for r in sorted(images, key=lambda r: r.file_name)] == [
        {"t": {"train": "train", "training": "train", "test": "test"}.get(n.casefold(), ""),
         "v": "val"}[n[0].casefold()]
        for n in sorted(names)
    ]  # fmt: skip
    assert images.labels == ("eczema",)


def test_a_class_called_test_is_no_split(tmp_path: Path) -> None:
    _put(tmp_path, "test/a.jpg", 1)
    _put(tmp_path, "eczema/b.jpg", 2)
    images = open_images(tmp_path)
    assert images.labels == ("eczema", "test")
    assert not any(r.split for r in images)


def test_an_empty_class_is_refused_by_name(tmp_path: Path) -> None:
    _put(tmp_path, "eczema/a.jpg")
    (tmp_path / "normal").mkdir()
    with pytest.raises(InputError, match="normal"):
        open_images(tmp_path)


def test_a_broken_image_is_refused_by_name_or_collected(tmp_path: Path) -> None:
    _put(tmp_path, "eczema/a.jpg")
    (tmp_path / "eczema" / "b.jpg").write_bytes(_jpeg(1)[:200])
    with pytest.raises(InputError, match=r"b\.jpg"):
        open_images(tmp_path)
    opened = scan_images(tmp_path, skip_broken=True)
    assert [r.file_name for r in opened.images] == ["eczema/a.jpg"]
    assert len(opened.broken) == 1
    assert "b.jpg" in opened.broken[0]


def test_nothing_but_broken_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "eczema").mkdir()
    (tmp_path / "eczema" / "b.jpg").write_bytes(b"text")
    with pytest.raises(InputError, match="none of the 1 images"):
        open_images(tmp_path, skip_broken=True)


@pytest.mark.parametrize("kind", ["missing", "file", "empty", "loose"])
def test_folders_of_the_wrong_form(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "photos"
    if kind == "file":
        root.write_text("no folder")
    elif kind != "missing":
        root.mkdir()
    if kind == "loose":
        _put(root, "a.jpg")
    with pytest.raises(InputError, match="photos"):
        open_images(root)


def test_a_partial_table_is_completed(tmp_path: Path) -> None:
    _put(tmp_path, "eczema/a.jpg", 1)
    _put(tmp_path, f"{unicodedata.normalize('NFD', KOREAN)}/b.jpg", 2)
    (tmp_path / "metadata.csv").write_text(
        "file_name,label,group,device,split\n"
        "eczema/a.jpg,,007,phone,training\n"
        f"{KOREAN}/b.jpg,{unicodedata.normalize('NFD', KOREAN)},p2,camera,test\n",
        encoding="utf-8-sig",
    )
    first, second = open_images(tmp_path)
    assert (first.label, first.group, first.split) == ("eczema", "007", "train")
    assert first.extra == {"device": "phone"}
    assert (second.label, second.split, second.width) == (KOREAN, "test", 32)
    assert len(second.sha256) == 64


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("eczema/none.jpg,eczema,real", "none.jpg"),
        ("../secret.jpg,eczema,real", "outside"),
        ("a.jpg,,real", "label"),
        ("eczema/a.jpg,eczema,dreamt", "dreamt"),
    ],
)
def test_wrong_rows_are_refused(tmp_path: Path, row: str, word: str) -> None:
    _put(tmp_path, "eczema/a.jpg")
    _put(tmp_path, "a.jpg")
    (tmp_path / "metadata.csv").write_text(f"file_name,label,origin\n{row}\n")
    with pytest.raises(InputError, match=word):
        open_images(tmp_path)


def test_a_set_is_opened_as_it_is(phantoms: ImageSet) -> None:
    assert open_images(phantoms.root).records == ImageSet.load(phantoms.root).records


def test_pixels_are_the_central_square_antialiased() -> None:
    # A checkerboard of single pixels is middle grey when reduced; without antialiasing it is not.
    board = (np.indices((64, 96)).sum(axis=0) % 2 * 255).astype(np.uint8)
    reduced = square(np.repeat(board[..., None], 3, axis=2), 8)
    assert np.abs(reduced.astype(int) - 127).max() <= 6
    # The outer sixteen columns on each side lie outside the central square.
    sides = np.zeros((64, 96, 3), np.uint8)
    sides[:, :16], sides[:, -16:] = 255, 255
    assert square(sides, 64).max() == square(sides, 24).max() == 0


def test_load_pixels_keeps_the_order(tmp_path: Path) -> None:
    for number, shade in enumerate((10, 120, 240)):
        path = tmp_path / "a" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (9, 5), (shade, 0, 255 - shade)).save(path)
    pixels = load_pixels(open_images(tmp_path), 4)
    assert pixels.dtype.is_floating_point is False
    assert pixels[:, 0, 0, 0].tolist() == [10, 120, 240]
    assert pixels[:, 2, 3, 3].tolist() == [245, 135, 15]


def test_import_keeps_bytes_and_names_what_is_broken(tmp_path: Path) -> None:
    photo = _put(tmp_path / "photos", "eczema/a.jpg", 4)
    (tmp_path / "photos/eczema/b.jpg").write_bytes(b"text")
    imported = import_images(
        find_folder(tmp_path / "photos"), tmp_path / "set", skip_broken=True, licence="CC0"
    )
    images, broken = imported.images, imported.broken
    record = ImageSet.load(tmp_path / "set").records[0]
    assert images.read_bytes(record) == photo.read_bytes()
    assert record.licence == "CC0"
    assert len(broken) == 1


def test_every_source_is_in_the_registry_once_with_a_description_and_settings() -> None:
    assert len(set(KINDS)) == len(KINDS)
    for source in SOURCES:
        assert source_of(source.kind) is source
        assert source.description
        assert source.config() is not None
    with pytest.raises(InputError, match="KIND is one of"):
        source_of("unknown")
