"""What a search for copies keeps of a photograph: a thumbnail, a hash of its structure, keypoints.

The structure is the detail of the thumbnail, divided by its own local strength, so that a logo counts
by its area and not by its whiteness. Its hash is the signs of its low cosine coefficients, which
knows its mirror images as `core.phash` does. The keypoints are SIFT (Lowe 2004, International
Journal of Computer Vision 60) with square-rooted descriptors (Arandjelović and Zisserman 2012, CVPR),
evenly over the picture: the script of a logo would otherwise take them all.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.phash import SIDE
from hzsynth.core.photos import decode_image

THUMBNAIL = 64
"""Side of a thumbnail, pixels; the picture is squashed into a square."""

DESCRIPTOR = 128
_LOCAL = 4.0
_NOISE = 1.0
# Root mean square of the structure (1 is full strength): below, there is nothing to recognise.
_EMPTY = 0.05

_KEYPOINT_SIDE, _LARGEST_SCALE = 256, 2.0
_CELLS, _IN_A_CELL = 4, 12

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Appearance:
    """A photograph as the search sees it.

    Attributes:
        thumbnail: 64 x 64 uint8, luminance squashed into a square.
        structure: 32 bytes, the packed 16 x 16 signs; None for an empty picture.
        points: K x 4: x and y as shares of width and height, direction in degrees (clockwise from
            the x axis), size as a share of the longer side.
        descriptors: K x 128 uint8, square-rooted SIFT of length 512.
    """

    thumbnail: NDArray[np.uint8]
    structure: NDArray[np.uint8] | None
    points: Floats
    descriptors: NDArray[np.uint8]


def read_appearance(root: Path, record: ImageRecord) -> Appearance:
    """The appearance of an image of a set, keypoints included, which take most of the time.

    Args:
        root: the set's folder.
        record: the image.

    Raises:
        InputError: the image cannot be read.
    """
    return appearance(_read(root, record))


def read_thumbnail(root: Path, record: ImageRecord) -> NDArray[np.uint8]:
    """The thumbnail of an image of a set (arguments and errors as above)."""
    return thumbnail(_read(root, record))


def read_structure(root: Path, record: ImageRecord) -> NDArray[np.uint8] | None:
    """The hash of the structure alone (arguments and errors as above)."""
    return structure_hash(read_thumbnail(root, record))


def _read(root: Path, record: ImageRecord) -> NDArray[np.uint8]:
    path = root / record.file_name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    return decode_image(data, str(path))


def appearance(pixels: NDArray[np.uint8]) -> Appearance:
    """Describes a photograph, H x W x 3, uint8."""
    small = thumbnail(pixels)
    points, descriptors = _keypoints(np.asarray(Image.fromarray(pixels).convert("L")))
    return Appearance(small, structure_hash(small), points, descriptors)


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luminance of a picture, squashed to 64 x 64 pixels."""
    size = (THUMBNAIL, THUMBNAIL)
    return np.asarray(Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.BOX))


def blurred(picture: Floats, deviation: float) -> Floats:
    """A Gaussian blur, the picture mirrored at its edges."""
    return np.asarray(
        cv2.GaussianBlur(picture, (0, 0), deviation, borderType=cv2.BORDER_REFLECT), np.float32
    )


def structure(small: NDArray[np.uint8]) -> Floats:
    """The details of a thumbnail, in units of their local strength.

    Args:
        small: 64 x 64, uint8.

    Returns:
        64 x 64; small where the picture is flat.
    """
    picture = small.astype(np.float32)
    details = picture - blurred(picture, _LOCAL)
    strength = np.sqrt(blurred(details * details, _LOCAL)) + np.float32(_NOISE)
    return np.asarray(details / strength, np.float32)


def structure_hash(small: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Hashes the structure of a thumbnail.

    Args:
        small: 64 x 64, uint8.

    Returns:
        32 bytes, in the layout of `core.phash`; None when the picture is empty.
    """
    details = structure(small)
    if float(np.sqrt(np.mean(details**2))) < _EMPTY:
        return None
    low = dctn(details, norm="ortho")[:SIDE, :SIDE]
    low[0, 0] = 0
    return np.packbits((low > 0).ravel())


def _keypoints(grey: NDArray[np.uint8]) -> tuple[Floats, NDArray[np.uint8]]:
    height, width = grey.shape
    scale = min(_KEYPOINT_SIDE / max(height, width), _LARGEST_SCALE)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(grey, size, interpolation=smooth)
    detector = cv2.SIFT.create(contrastThreshold=0.008, edgeThreshold=15)
    found = detector.detect(picture)
    if not found:
        return np.empty((0, 4), np.float32), np.empty((0, DESCRIPTOR), np.uint8)
    rows = np.array([(*k.pt, k.angle, k.size) for k in found], np.float32)
    rows /= (*size, 1, max(size))
    strength = np.array([k.response for k in found])
    cells = np.clip((rows[:, :2] * _CELLS).astype(int), 0, _CELLS - 1) @ (_CELLS, 1)
    order = np.lexsort((-strength, cells))
    rank = np.arange(len(order)) - np.searchsorted(cells[order], cells[order])
    kept = order[rank < _IN_A_CELL]
    _, raw = detector.compute(picture, [found[i] for i in kept])
    # A square root makes the product of two descriptors the overlap of their histograms.
    share = raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-9)
    return rows[kept], np.round(512 * np.sqrt(share)).clip(0, 255).astype(np.uint8)
