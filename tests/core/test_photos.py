"""Decoding against pictures whose pixels are known."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from hzsynth.core.errors import InputError
from hzsynth.core.photos import MAX_PIXELS, decode_image, image_size


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def pixels(rng: np.random.Generator) -> Any:
    """A red half left of a green half, a blue corner, and some noise."""
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:, :15, 0], picture[:, 15:, 1], picture[:6, :6, 2] = 200, 180, 250
    return picture + rng.integers(0, 5, picture.shape, dtype=np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_are_exact(pixels: Any, kind: str) -> None:
    data = _encoded(Image.fromarray(pixels), kind)
    assert np.array_equal(decode_image(data, "a"), pixels)
    assert image_size(data, "a")[:2] == (30, 20)


def test_the_name_does_not_matter(pixels: Any) -> None:
    data = _encoded(Image.fromarray(pixels), "WEBP", lossless=True)
    assert np.array_equal(decode_image(data, "photo.jpeg"), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(pixels: Any, orientation: Any) -> None:
    # How the stored picture must be turned so that the stated orientation undoes it.
    undo = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](pixels)))
    data = _encoded(stored, "PNG", exif=exif)
    assert np.array_equal(decode_image(data, "a.png"), pixels)


def test_transparency_is_laid_on_white(pixels: Any) -> None:
    alpha = np.full((20, 30, 1), 255, np.uint8)
    alpha[:, :10], alpha[:, 10:20] = 0, 51
    data = _encoded(Image.fromarray(np.concatenate([pixels, alpha], axis=2)), "PNG")
    opacity = alpha / 255
    expected = opacity * pixels + (1 - opacity) * 255
    assert np.abs(decode_image(data, "a.png") - expected).max() <= 1


def test_a_palette_with_a_transparent_colour(pixels: Any) -> None:
    palette = Image.fromarray(pixels).quantize(4)
    index = np.asarray(palette)[0, 29]
    data = _encoded(palette, "PNG", transparency=int(index))
    decoded = decode_image(data, "a.png")
    assert np.array_equal(decoded[0, 29], [255, 255, 255])
    assert np.array_equal(decoded[19, 0], np.asarray(palette.convert("RGB"))[19, 0])


def test_sixteen_bits_are_scaled(rng: np.random.Generator) -> None:
    grey = rng.integers(0, 256, (12, 9), dtype=np.uint16)
    data = _encoded(Image.fromarray(grey * 257), "PNG")
    assert np.array_equal(decode_image(data, "a.png"), np.repeat(grey[..., None], 3, axis=2))


def test_an_animation_gives_its_first_frame(pixels: Any) -> None:
    frames = [Image.fromarray(p) for p in (pixels, pixels[::-1], pixels[:, ::-1])]
    data = _encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert np.array_equal(decode_image(data, "a.png"), pixels)


def test_a_colour_profile_is_converted_to_srgb() -> None:
    lab_profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    colours = np.array([[[200, 140, 120], [90, 60, 50], [230, 200, 180]]], np.uint8)
    lab = ImageCms.profileToProfile(Image.fromarray(colours), srgb, lab_profile, outputMode="LAB")
    assert lab is not None
    data = _encoded(lab, "TIFF", icc_profile=lab_profile.tobytes())
    assert np.abs(decode_image(data, "a.tif").astype(int) - colours).max() <= 4


def test_a_damaged_profile_is_ignored(pixels: Any) -> None:
    data = _encoded(Image.fromarray(pixels), "PNG", icc_profile=b"no profile at all")
    assert np.array_equal(decode_image(data, "a.png"), pixels)


def test_cmyk_ink_becomes_colour() -> None:
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 1], ink[..., 2] = 255, 255  # magenta and yellow make red
    data = _encoded(Image.fromarray(ink, "CMYK"), "TIFF")
    red, green, blue = decode_image(data, "a.tif").reshape(-1, 3).mean(axis=0)
    assert red > 230
    assert green < 40
    assert blue < 40


@pytest.mark.parametrize(
    "data",
    [b"", b"a text, no photograph", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0junk", b"GIF89a"],
)
def test_what_is_no_image_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(InputError, match=r"lesion-7\.jpg"):
        decode_image(data, "lesion-7.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_file_that_was_cut_off_is_refused(
    rng: np.random.Generator, kind: str, share: float
) -> None:
    picture = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = _encoded(picture, kind)
    with pytest.raises(InputError, match="cut"):
        decode_image(data[: int(share * len(data))], "cut")


@pytest.mark.parametrize("size", [(30_000, 12_000), (30_000, 6_000)])
def test_too_many_pixels_are_refused_from_the_header(size: tuple[int, int]) -> None:
    data = _encoded(Image.new("1", size), "PNG")
    assert size[0] * size[1] > MAX_PIXELS
    with pytest.raises(InputError, match="30000 x"):
        decode_image(data, "wide.png")
