"""Crops, colour and metadata after preprocessing."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.photos import decode_image
from hzsynth.data.config import PreprocessConfig
from hzsynth.data.image_properties import hidden_metadata
from hzsynth.data.lesion import salient_mask
from hzsynth.data.loading import open_images
from hzsynth.data.preprocess_image import (
    color_statistics,
    cropped,
    lesion_box,
    preprocess_image,
    shades_of_gray,
    standardise,
)
from hzsynth.data.preprocess_set import SHEET, preprocess_images
from hzsynth.data.second_look import REMOVED, SECOND_LOOK
from hzsynth.data.skin_tone import individual_typology_angle
from hzsynth.data.sources.phantom import render_phantom


def test_the_centre_is_cropped() -> None:
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = 200
    made = preprocess_image(pixels, PreprocessConfig(size=32))
    assert made.pixels.shape == (32, 32, 3)
    assert np.abs(made.pixels.astype(int) - 200).max() <= 1
    assert made.mask is None
    assert made.removed == ()


@pytest.mark.parametrize(
    ("top", "left", "height", "width"), [(10, 120, 30, 20), (0, 0, 5, 5), (60, 150, 40, 50)]
)
def test_the_lesion_lies_in_its_square(top: int, left: int, height: int, width: int) -> None:
    mask = np.zeros((100, 200), bool)
    mask[top : top + height, left : left + width] = True
    x0, y0, x1, y1 = lesion_box(mask)
    assert x1 - x0 == y1 - y0
    assert 50 <= x1 - x0 <= 100
    assert 0 <= x0 <= left
    assert left + width <= x1 <= 200
    assert 0 <= y0 <= top
    assert top + height <= y1 <= 100


def test_without_a_lesion_the_centre_is_taken() -> None:
    assert lesion_box(np.zeros((50, 80), bool)) == (15, 0, 65, 50)


@pytest.mark.parametrize(("height", "width"), [(50, 80), (80, 50), (33, 100)])
def test_a_lesion_longer_than_the_shorter_side_gets_the_square_that_holds_most_of_it(
    height: int, width: int
) -> None:
    mask = np.zeros((height, width), bool)
    mask[height // 3 : height // 2] = True
    mask[:, width // 3 : width // 2] = True
    # Most of the lesion lies towards the far corner.
    mask[-height // 4 :, -width // 4 :] = True
    left, top, right, bottom = lesion_box(mask)
    side = min(height, width)
    assert right - left == bottom - top == side
    assert (left, top) >= (0, 0)
    assert (right, bottom) <= (width, height)
    held = [
        mask[y : y + side, x : x + side].sum()
        for y in range(height - side + 1)
        for x in range(width - side + 1)
    ]
    assert mask[top:bottom, left:right].sum() == max(held)


def test_no_pixel_of_a_lesion_crop_is_seen_twice() -> None:
    """A long lesion in a wide picture once got a square filled up with mirrored bands."""
    columns = np.arange(160, dtype=np.uint8)
    pixels = np.stack([np.broadcast_to(columns, (64, 160))] * 3, axis=-1).copy()
    mask = np.zeros((64, 160), bool)
    mask[20:40, 10:150] = True
    made = preprocess_image(pixels, PreprocessConfig(size=64, crop="lesion"), mask)
    row = made.pixels[32, :, 0].astype(int)
    assert (np.diff(row) == 1).all()
    assert (made.pixels == made.pixels[:1]).all()


def test_a_crop_is_the_part_inside_its_box(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    assert np.array_equal(cropped(pixels, (1, 1, 3, 4)), pixels[1:4, 1:3])


def test_a_dark_crust_is_found_where_nothing_is_red(rng: np.random.Generator) -> None:
    skin = np.full((96, 96, 3), (205, 160, 135), np.float64) + rng.normal(0, 2, (96, 96, 1))
    skin[20:45, 55:85] *= (0.45, 0.47, 0.5)
    mask = salient_mask(np.clip(skin, 0, 255).astype(np.uint8))
    truth = np.zeros((96, 96), bool)
    truth[20:45, 55:85] = True
    assert (mask & truth).sum() / (mask | truth).sum() > 0.7
    assert not salient_mask(np.full((64, 64, 3), (205, 160, 135), np.uint8)).any()


def test_the_mask_goes_through_the_same_crop() -> None:
    pixels = np.full((64, 96, 3), 90, np.uint8)
    mask = np.zeros((64, 96), bool)
    mask[20:40, 60:80] = True
    pixels[mask] = 240
    for crop in ("center", "lesion"):
        made = preprocess_image(pixels, PreprocessConfig(size=64, crop=crop), mask)
        bright = made.pixels[..., 0] > 165
        assert bright.mean() == pytest.approx(made.mask.mean(), abs=0.02)
        assert (bright == made.mask).mean() > 0.98


def test_shades_of_gray_takes_a_tint_away(rng: np.random.Generator) -> None:
    neutral = rng.integers(40, 200, (40, 40, 1), dtype=np.uint8).repeat(3, axis=2)
    tinted = np.clip(neutral * np.array([1.2, 1.0, 0.7]), 0, 255).astype(np.uint8)
    corrected = shades_of_gray(tinted).astype(float)
    spread = corrected.mean(axis=(0, 1))
    assert np.ptp(spread) < 2
    # The published estimate with p = 6, written out once more.
    light = np.array([(tinted[..., c].astype(float) ** 6).mean() ** (1 / 6) for c in range(3)])
    expected = np.clip(np.round(tinted * (light.mean() / light)), 0, 255)
    assert np.array_equal(corrected, expected)


def test_black_pictures_stay() -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    assert np.array_equal(shades_of_gray(black), black)


def test_cameras_come_closer() -> None:
    pixels = render_phantom("normal", "western", 3, 0, 64)[0].astype(float)
    warm = np.clip(pixels * [1.08, 1, 0.85], 0, 255).astype(np.uint8)
    cold = np.clip(pixels * [0.95, 1, 1.1], 0, 255).astype(np.uint8)
    before = abs(individual_typology_angle(warm) - individual_typology_angle(cold))
    after = abs(
        individual_typology_angle(shades_of_gray(warm))
        - individual_typology_angle(shades_of_gray(cold))
    )
    assert after < 0.5 * before


@pytest.mark.parametrize("space", ["rgb", "hsv"])
def test_standardised_photographs_have_the_reference_s_mean_and_spread(space: Any) -> None:
    pixels = render_phantom("normal", "western", 1, 0, 96)[0]
    other = render_phantom("normal", "korean", 2, 0, 96)[0]
    reference = color_statistics(other, space)
    before = np.abs(color_statistics(pixels, space) - reference).max()
    made = standardise(pixels, reference, space)
    assert np.abs(color_statistics(made, space) - reference).max() < 0.25 * before
    if space == "hsv":
        from skimage.color import rgb2hsv

        hues = rgb2hsv(pixels)[..., 0], rgb2hsv(made)[..., 0]
        assert np.median(np.abs(hues[0] - hues[1])) < 0.01


def test_a_flat_photograph_keeps_its_calm() -> None:
    flat = np.full((32, 32, 3), (200, 150, 120), np.uint8)
    flat[::2, ::2] += 2
    made = standardise(flat, np.array([[0.5] * 3, [0.3] * 3]), "rgb")
    assert made.std() / flat.std() < 2.5
    assert np.abs(made.mean(axis=(0, 1)) / 255 - 0.5).max() < 0.01


def test_the_typical_photograph_comes_from_the_train_split_only(
    tmp_path: Path, phantoms: ImageSet
) -> None:
    """Another test split must not change a single training pixel."""
    from hzsynth.core.image_set_writer import ImageSetWriter

    made = []
    for shade in (30, 220):
        with ImageSetWriter(tmp_path / f"set-{shade}") as writer:
            for record in phantoms.records[:6]:
                writer.copy(phantoms, record, split="train")
            pixels = np.full((64, 64, 3), shade, np.uint8)
            writer.add(pixels, label="eczema", split="test", origin="phantom")
        config = PreprocessConfig(size=32, color="standardise")
        made.append(preprocess_images(writer.images, config, tmp_path / f"out-{shade}"))
    digests = [[r.sha256 for r in images if r.split == "train"] for images in made]
    assert digests[0] == digests[1]


def test_the_number_of_processes_changes_nothing(
    tmp_path: Path, phantoms: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hzsynth.core.parallel.WORTHWHILE", 8)
    config = PreprocessConfig(size=32, crop="lesion", remove_annotations="inpaint")
    one = preprocess_images(phantoms, config, tmp_path / "one", workers=1)
    two = preprocess_images(phantoms, config, tmp_path / "two", workers=2)
    assert one.records == two.records
    with Image.open(one.root / SHEET) as sheet:
        assert min(sheet.size) > 300


def test_a_set_keeps_its_columns_and_loses_its_metadata(tmp_path: Path, phantoms: ImageSet) -> None:
    config = PreprocessConfig(size=48, crop="lesion", color="shades-of-gray")
    done = preprocess_images(phantoms, config, tmp_path / "out")
    assert ImageSet.load(tmp_path / "out").records == done.records
    for before, after in zip(phantoms, done, strict=True):
        same = ("label", "group", "source", "origin", "licence", "extra", "split")
        assert all(getattr(before, name) == getattr(after, name) for name in same)
        assert (after.width, after.height) == (48, 48)
        assert after.sha256 != before.sha256
        assert done.read_mask(after).shape == (48, 48)


def test_what_was_taken_off_is_counted_and_the_set_looked_at_again(tmp_path: Path) -> None:
    with ImageSetWriter(tmp_path / "set") as writer:
        for patient in range(12):
            label, logo = ("herpes_zoster", True) if patient % 2 else ("normal", False)
            pixels, _ = render_phantom(label, "western", patient, 0, 128, logo=logo)
            writer.add(pixels, label=label, origin="phantom", source=f"clinic {patient % 2}")
    config = PreprocessConfig(size=96, remove_annotations="inpaint")
    done = preprocess_images(writer.images, config, tmp_path / "out")
    look = json.loads((done.root / SECOND_LOOK).read_text())
    for label in done.labels:
        kinds = Counter(k for r in done.select(label=label) for k in r.extra[REMOVED].split())
        assert look["removed"][label] == kinds
    assert look["removed"]["herpes_zoster"]["logo"] == 6
    assert "logo" not in look["removed"]["normal"]
    assert look["tells_class"]["annotations removed"] > 0.5
    assert look["tells_class"]["enlargement"] == 0
    # Each class comes from a clinic of its own: what tells the one tells the other.
    assert look["tells_source"] == look["tells_class"]
    assert look["sentences"][0].startswith("annotations taken off images: ")
    assert "logo 6" in look["sentences"][0]
    assert any(text.startswith("the class is still told by") for text in look["sentences"])


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_no_metadata_survives(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a patient's name", 6
    exif.get_ifd(0x8825)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "photos" / "eczema" / f"a.{suffix}"
    path.parent.mkdir(parents=True)
    options: dict[str, Any] = {"exif": exif, "icc_profile": profile}
    if suffix == "jpg":
        options["comment"] = b"a patient's name"
    if suffix in ("jpg", "webp"):
        options["xmp"] = b"<x:xmpmeta>a patient's name</x:xmpmeta>"
    Image.new("RGB", (64, 32), (200, 150, 120)).save(path, **options)
    assert b"patient" in path.read_bytes()
    before = hidden_metadata(path.read_bytes())
    assert {"EXIF", "ICC"} <= set(before)
    if suffix == "jpg":
        assert {"XMP", "comment"} <= set(before)
    images = open_images(tmp_path / "photos")
    assert (images.records[0].width, images.records[0].height) == (32, 64)
    done = preprocess_images(images, PreprocessConfig(size=32), tmp_path / "out")
    data = done.read_bytes(done.records[0])
    assert b"patient" not in data
    # Read without any of our code: a PNG whose chunks are the picture's own.
    chunks, place = [], 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append(data[place + 4 : place + 8])
        place += length + 12
    assert set(chunks) <= {b"IHDR", b"IDAT", b"IEND"}
    with Image.open(io.BytesIO(data)) as picture:
        assert len(picture.getexif()) == 0
        assert not picture.info
    assert hidden_metadata(data) == ()
    assert decode_image(data, "a").shape == (32, 32, 3)


@pytest.mark.parametrize(("key", "value"), [("size", 8), ("crop", "top"), ("color", "sepia")])
def test_wrong_settings_are_refused(key: str, value: int | str) -> None:
    with pytest.raises(InputError, match=key):
        PreprocessConfig.from_sources(None, {key: value})
