"""What one photograph is like: size, format, hidden metadata, blur, skin tone, annotations.

Blur is the perceptual metric of Crété-Roffet et al. (2007), as scikit-image computes it.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import blur_effect

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.photos import decode_image, image_size
from hzsynth.data.annotations import find_annotations
from hzsynth.data.logos import LogoTemplate
from hzsynth.data.skin_tone import SkinTone, skin_tone

_BLUR_SIDE = 384
# Keys of Pillow's `info` that describe the coding and nobody's camera, place or name.
_HARMLESS = frozenset(
    {
        "jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "progressive", "progression",
        "adobe", "adobe_transform", "gamma", "transparency", "interlace", "compression",
        "background", "duration", "loop", "version", "extension", "aspect", "default_image",
        "timestamp", "srgb", "chromaticity",
    }
)  # fmt: skip


@dataclass(frozen=True)
class ImageProperties:
    """What a photograph is like.

    Attributes:
        width: pixels, upright.
        height: pixels, upright.
        format: of the file, such as JPEG.
        metadata: kinds of hidden metadata: EXIF, ICC, XMP, comment and so on.
        blur: 0 (sharp) to 1, perceptual, at 384 pixels a side at most.
        tone: typology angle of the healthy skin, or why it is not told.
        annotations: kinds of annotations found, such as logo.
    """

    width: int
    height: int
    format: str
    metadata: tuple[str, ...]
    blur: float
    tone: SkinTone
    annotations: tuple[str, ...]


def properties_of_image(
    root: Path, logos: Sequence[LogoTemplate], record: ImageRecord
) -> ImageProperties | str:
    """Looks at one photograph of a set (in whatever process).

    Args:
        root: the set's folder.
        logos: those that the set's photographs share (see `logos.learn_logos`).
        record: the row.

    Returns:
        What it is like, or the sentence why it cannot be read.
    """
    images = ImageSet(root, (record,))
    name = str(images.path(record))
    try:
        data = images.read_bytes(record)
        pixels = decode_image(data, name)
        mask = images.read_mask(record)
        form = image_size(data, name)[2]
    except InputError as error:
        return str(error)
    return ImageProperties(
        width=pixels.shape[1],
        height=pixels.shape[0],
        format=form,
        metadata=hidden_metadata(data),
        blur=perceived_blur(pixels),
        tone=skin_tone(pixels, mask),
        annotations=tuple(sorted({found.kind for found in find_annotations(pixels, logos)})),
    )


def hidden_metadata(data: bytes) -> tuple[str, ...]:
    """Kinds of metadata that a file carries beside its picture.

    Args:
        data: an image file's bytes, readable.

    Returns:
        Sorted names, such as ``("EXIF", "ICC")``.
    """
    kinds = {"exif": "EXIF", "icc_profile": "ICC", "xmp": "XMP", "comment": "comment"}
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        found = {kinds.get(str(k).casefold(), f"{k}") for k in picture.info if _telling(k)}
        if len(picture.getexif()):
            found.add("EXIF")
        if "XML:com.adobe.xmp" in picture.info:
            found = found - {"XML:com.adobe.xmp"} | {"XMP"}
    return tuple(sorted(found))


def _telling(key: object) -> bool:
    return str(key).casefold() not in _HARMLESS


def perceived_blur(pixels: NDArray[np.uint8]) -> float:
    """Perceptual blur, 0 (sharp) to 1, of H x W x 3 uint8 at 384 pixels a side at most."""
    picture = Image.fromarray(pixels).convert("L")
    picture.thumbnail((_BLUR_SIDE, _BLUR_SIDE), Image.Resampling.LANCZOS)
    grey = np.asarray(picture, dtype=np.float64)
    if min(grey.shape) < 12 or float(np.ptp(grey)) == 0:
        return 0.0
    return float(blur_effect(grey))
