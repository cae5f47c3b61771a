"""Crops, colour and metadata after preprocessing."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.photos import decode_image
from hzsynth.data.config import PreprocessConfig
from hzsynth.data.image_properties import hidden_metadata
from hzsynth.data.lesion import salient_mask
from hzsynth.data.loading import open_images
from hzsynth.data.preprocess_image import (
    color_statistics,
    lesion_box,
    padded_crop,
    preprocess_image,
    shades_of_gray,
    standardise,
)
from hzsynth.data.preprocess_set import SHEET, preprocess_images
from hzsynth.data.skin_tone import individual_typology_angle
from hzsynth.data.sources.phantom import render_phantom


def test_the_centre_is_cropped():
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = 200
    made, mask, _ = preprocess_image(pixels, PreprocessConfig(size=32))
    assert made.shape == (32, 32, 3)
    assert np.abs(made.astype(int) - 200).max() <= 1
    assert mask is None


@pytest.mark.parametrize(
    ("top", "left", "height", "width"), [(10, 120, 30, 20), (0, 0, 5, 5), (60, 150, 40, 50)]
)
def test_the_lesion_lies_in_its_square(top, left, height, width):
    mask = np.zeros((100, 200), bool)
    mask[top : top + height, left : left + width] = True
    x0, y0, x1, y1 = lesion_box(mask)
    assert x1 - x0 == y1 - y0
    assert 50 <= x1 - x0 <= 100
    assert 0 <= x0 <= left
    assert left + width <= x1 <= 200
    assert 0 <= y0 <= top
    assert top + height <= y1 <= 100


def test_without_a_lesion_the_centre_is_taken():
    assert lesion_box(np.zeros((50, 80), bool)) == (15, 0, 65, 50)


@pytest.mark.parametrize(("height", "width"), [(50, 80), (80, 50), (33, 100)])
def test_a_lesion_longer_than_the_shorter_side_is_never_cut(height, width):
    mask = np.zeros((height, width), bool)
    mask[height // 3 : height // 2] = True
    mask[:, width // 3 : width // 2] = True
    left, top, right, bottom = lesion_box(mask)
    assert right - left == bottom - top == max(height, width)
    made, kept, _ = preprocess_image(
        np.where(mask[..., None], 240, 90).astype(np.uint8).repeat(3, axis=2),
        PreprocessConfig(size=64, crop="lesion"),
        mask,
    )
    # Every row and column of the lesion is there, in a square of 64 pixels.
    assert kept.any(axis=0).all()
    assert kept.any(axis=1).all()
    assert ((made[..., 0] > 165) == kept).mean() > 0.95


def test_beyond_the_border_lies_the_mirror_image(rng):
    pixels = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    made = padded_crop(pixels, (-2, -1, 7, 5))
    assert made.shape == (6, 9, 3)
    assert np.array_equal(made[1:5, 2:8], pixels)
    assert np.array_equal(made[1:5, 0:2], pixels[:, 1::-1])
    assert np.array_equal(made[0, 2:8], pixels[0])
    assert np.array_equal(padded_crop(pixels, (1, 1, 3, 4)), pixels[1:4, 1:3])


def test_a_dark_crust_is_found_where_nothing_is_red(rng):
    skin = np.full((96, 96, 3), (205, 160, 135), np.float64) + rng.normal(0, 2, (96, 96, 1))
    skin[20:45, 55:85] *= (0.45, 0.47, 0.5)
    mask = salient_mask(np.clip(skin, 0, 255).astype(np.uint8))
    truth = np.zeros((96, 96), bool)
    truth[20:45, 55:85] = True
    assert (mask & truth).sum() / (mask | truth).sum() > 0.7
    assert not salient_mask(np.full((64, 64, 3), (205, 160, 135), np.uint8)).any()


def test_the_mask_goes_through_the_same_crop():
    pixels = np.full((64, 96, 3), 90, np.uint8)
    mask = np.zeros((64, 96), bool)
    mask[20:40, 60:80] = True
    pixels[mask] = 240
    for crop in ("center", "lesion"):
        made, kept, _ = preprocess_image(pixels, PreprocessConfig(size=64, crop=crop), mask)
        assert (made[..., 0] > 165).mean() == pytest.approx(kept.mean(), abs=0.02)
        assert ((made[..., 0] > 165) == kept).mean() > 0.98


def test_shades_of_gray_takes_a_tint_away(rng):
    neutral = rng.integers(40, 200, (40, 40, 1), dtype=np.uint8).repeat(3, axis=2)
    tinted = np.clip(neutral * np.array([1.2, 1.0, 0.7]), 0, 255).astype(np.uint8)
    corrected = shades_of_gray(tinted).astype(float)
    spread = corrected.mean(axis=(0, 1))
    assert np.ptp(spread) < 2
    # The published estimate with p = 6, written out once more.
    light = np.array([(tinted[..., c].astype(float) ** 6).mean() ** (1 / 6) for c in range(3)])
    expected = np.clip(np.round(tinted * (light.mean() / light)), 0, 255)
    assert np.array_equal(corrected, expected)


def test_black_pictures_stay():
    black = np.zeros((8, 8, 3), np.uint8)
    assert np.array_equal(shades_of_gray(black), black)


def test_cameras_come_closer():
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
def test_standardised_photographs_have_the_reference_s_mean_and_spread(space):
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


def test_a_flat_photograph_keeps_its_calm():
    flat = np.full((32, 32, 3), (200, 150, 120), np.uint8)
    flat[::2, ::2] += 2
    made = standardise(flat, np.array([[0.5] * 3, [0.3] * 3]), "rgb")
    assert made.std() / flat.std() < 2.5
    assert np.abs(made.mean(axis=(0, 1)) / 255 - 0.5).max() < 0.01


def test_the_typical_photograph_comes_from_the_train_split_only(tmp_path, phantoms):
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


def test_the_number_of_processes_changes_nothing(tmp_path, phantoms, monkeypatch):
    monkeypatch.setattr("hzsynth.core.parallel.WORTHWHILE", 8)
    config = PreprocessConfig(size=32, crop="lesion", remove_annotations="inpaint")
    one = preprocess_images(phantoms, config, tmp_path / "one", workers=1)
    two = preprocess_images(phantoms, config, tmp_path / "two", workers=2)
    assert one.records == two.records
    with Image.open(one.root / SHEET) as sheet:
        assert min(sheet.size) > 300


def test_a_set_keeps_its_columns_and_loses_its_metadata(tmp_path, phantoms):
    config = PreprocessConfig(size=48, crop="lesion", color="shades-of-gray")
    done = preprocess_images(phantoms, config, tmp_path / "out")
    assert ImageSet.load(tmp_path / "out").records == done.records
    for before, after in zip(phantoms, done, strict=True):
        same = ("label", "group", "source", "origin", "licence", "extra", "split")
        assert all(getattr(before, name) == getattr(after, name) for name in same)
        assert (after.width, after.height) == (48, 48)
        assert after.sha256 != before.sha256
        assert done.read_mask(after).shape == (48, 48)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_no_metadata_survives(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a patient's name", 6
    exif.get_ifd(0x8825)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "photos" / "eczema" / f"a.{suffix}"
    path.parent.mkdir(parents=True)
    options = {"exif": exif, "icc_profile": profile}
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
def test_wrong_settings_are_refused(key, value):
    with pytest.raises(InputError, match=key):
        PreprocessConfig.from_sources(None, {key: value})
