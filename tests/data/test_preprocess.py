"""Crops, colour and metadata after preprocessing."""

import io

import numpy as np
import pytest
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.data.loading import open_images
from hzsynth.data.photos import decode_image
from hzsynth.data.preprocess import (
    PreprocessConfig,
    lesion_box,
    preprocess_image,
    preprocess_images,
    shades_of_gray,
)
from hzsynth.data.skin_tone import individual_typology_angle


def test_the_centre_is_cropped():
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = 200
    made, mask = preprocess_image(pixels, PreprocessConfig(size=32))
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


def test_a_lesion_too_wide_for_a_square_gives_the_largest():
    assert lesion_box(np.ones((50, 80), bool)) == (15, 0, 65, 50)


def test_the_mask_goes_through_the_same_crop():
    pixels = np.full((64, 96, 3), 90, np.uint8)
    mask = np.zeros((64, 96), bool)
    mask[20:40, 60:80] = True
    pixels[mask] = 240
    for crop in ("center", "lesion"):
        made, kept = preprocess_image(pixels, PreprocessConfig(size=64, crop=crop), mask)
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
    from hzsynth.data.sources.phantom import render_phantom

    pixels = render_phantom("normal", "western", 3, 0, 64)[0].astype(float)
    warm = np.clip(pixels * [1.08, 1, 0.85], 0, 255).astype(np.uint8)
    cold = np.clip(pixels * [0.95, 1, 1.1], 0, 255).astype(np.uint8)
    before = abs(individual_typology_angle(warm) - individual_typology_angle(cold))
    after = abs(
        individual_typology_angle(shades_of_gray(warm))
        - individual_typology_angle(shades_of_gray(cold))
    )
    assert after < 0.5 * before


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


def test_exif_is_stripped(tmp_path):
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a patient's name", 6
    path = tmp_path / "photos" / "eczema" / "a.jpg"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (64, 32), (200, 150, 120)).save(path, exif=exif)
    assert b"patient" in path.read_bytes()
    images = open_images(tmp_path / "photos")
    assert (images.records[0].width, images.records[0].height) == (32, 64)
    done = preprocess_images(images, PreprocessConfig(size=32), tmp_path / "out")
    data = done.read_bytes(done.records[0])
    assert b"patient" not in data
    with Image.open(io.BytesIO(data)) as picture:
        assert len(picture.getexif()) == 0
        assert not picture.info
    assert decode_image(data, "a").shape == (32, 32, 3)


@pytest.mark.parametrize(("key", "value"), [("size", 8), ("crop", "top"), ("color", "sepia")])
def test_wrong_settings_are_refused(key, value):
    with pytest.raises(InputError, match=key):
        PreprocessConfig.from_sources(None, {key: value})
