"""Decodes a photograph from bytes into upright sRGB pixels, whatever the file holds.

The format is told by content, never by the name. EXIF orientation is applied, an ICC
profile is converted to sRGB, CMYK, palettes, grey, 16-bit and transparent pictures become RGB, an
animation gives its first frame. What cannot be decoded whole is refused with a sentence,
and a picture too large for memory is refused from its header, before it is decoded.
"""

import io
import re
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from hzsynth.core.errors import InputError

MAX_PIXELS = 178_956_970
"""Largest number of pixels that is decoded (half a gigabyte as RGB; Pillow's own limit)."""

_SRGB = ImageCms.createProfile("sRGB")


def image_size(data: bytes, name: str) -> tuple[int, int, str]:
    """Reads size and format from the header, without decoding.

    Args:
        data: the file's bytes.
        name: for messages.

    Returns:
        Width and height as stored (before EXIF orientation), and the format, such as JPEG.

    Raises:
        InputError: no known image format, or more than `MAX_PIXELS` pixels.
    """
    with _opened(data, name) as picture:
        return picture.width, picture.height, str(picture.format)


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decodes a photograph.

    Args:
        data: the file's bytes.
        name: for messages.

    Returns:
        H x W x 3, uint8 sRGB, upright; transparency is laid on white.

    Raises:
        InputError: no known image format, damaged or cut off, or more than `MAX_PIXELS` pixels.
    """
    with _opened(data, name) as picture, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            picture.seek(0)
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            return np.array(_to_rgb(upright), dtype=np.uint8)
        except (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError) as error:
            raise InputError(f"'{name}' is damaged or cut off: {error}") from error


def square(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Crops the central square and resizes it, antialiased.

    Args:
        pixels: H x W x 3, uint8.
        size: side of the result, pixels.

    Returns:
        size x size x 3, uint8.
    """
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    # Cropped before it is resized: the filter must not look at what was cut away.
    central = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    if side == size:
        return central
    return np.asarray(Image.fromarray(central).resize((size, size), Image.Resampling.BICUBIC))


def fitted(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The whole picture inside a white square, for looking at.

    Args:
        pixels: H x W x 3, uint8.
        side: of the square, pixels.

    Returns:
        side x side x 3, uint8; nothing is cut away and nothing stretched.
    """
    picture = Image.fromarray(pixels)
    scale = side / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    square = Image.new("RGB", (side, side), (255, 255, 255))
    shown = picture.resize(size, Image.Resampling.LANCZOS)
    square.paste(shown, ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.asarray(square)


def _opened(data: bytes, name: str) -> Image.Image:
    if not data:
        raise InputError(f"'{name}' is empty, expected an image")
    try:
        with warnings.catch_warnings():
            # The bound below is checked for every picture; Pillow's warning would say it twice.
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        count = "".join(re.findall(r"\((\d+) pixels\)", str(error))) or "too many"
        raise InputError(
            f"'{name}' has {count} pixels{_png_size(data)}, allowed are {MAX_PIXELS}; "
            "reduce it first"
        ) from None
    except (OSError, SyntaxError, ValueError, TypeError) as error:
        raise InputError(f"'{name}' is no image that can be read: {_reason(error)}") from error
    if picture.width * picture.height > MAX_PIXELS:
        size = f"{picture.width} x {picture.height}"
        picture.close()
        raise InputError(f"'{name}' has {size} pixels, allowed are {MAX_PIXELS}; reduce it first")
    return picture


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its content is of no known image format"
    return str(error)


def _png_size(data: bytes) -> str:
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        return f" ({width} x {height})"
    return ""


def _to_rgb(picture: Image.Image) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        picture = _eight_bits(picture)
    if picture.mode == "P" or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode in ("LA", "La", "PA", "RGBa"):
        picture = picture.convert("RGBA")
    alpha = picture.getchannel("A") if picture.mode == "RGBA" else None
    if picture.mode == "RGBA":
        picture = picture.convert("RGB")
    if picture.mode not in ("RGB", "L", "CMYK", "LAB"):
        picture = picture.convert("RGB")
    picture = _to_srgb(picture, profile)
    if alpha is not None:
        white = Image.new("RGB", picture.size, (255, 255, 255))
        white.paste(picture, mask=alpha)
        picture = white
    return picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scales 16- and 32-bit grey to 8 bits: by 257 for 16 bits, by its range otherwise."""
    values = np.asarray(picture).astype(np.float64)
    top = float(values.max(initial=0))
    if picture.mode == "F" and top <= 1:
        scale = 255.0
    elif top <= 65535:
        scale = 1 / 257 if top > 255 or picture.mode.startswith("I;16") else 1.0
    else:
        scale = 255 / top
    return Image.fromarray(np.clip(np.round(values * scale), 0, 255).astype(np.uint8))


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                picture, source, ImageCms.ImageCmsProfile(_SRGB), outputMode="RGB"
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            # A damaged profile, or one of another colour space, says nothing usable.
            pass
    return picture.convert("RGB")
