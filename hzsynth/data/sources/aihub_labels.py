"""The label files of AI-Hub 71645: one JSON for each part of each picture."""

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from PIL import ExifTags, Image

from hzsynth.core.errors import InputError
from hzsynth.core.photos import image_size
from hzsynth.data.sources.base import Box
from hzsynth.data.sources.folder import File, composed
from hzsynth.data.sources.published import read_text

WHOLE_FACE = 0
"""The part of the label that is about the whole face."""
NO_ACNE = "none"
INFO = ("age", "gender", "skin_type", "sensitive")
_DEVICES = {"0": "camera", "1": "pad", "2": "phone"}
_LARGEST_SHARE = 0.5
"""Of the picture: a box that is larger shows a face and no part of it."""
_HEADER = 1 << 18
_FIRST_TURNED = 5
"""EXIF orientations from here on exchange width and height."""


class Refusal(Exception):  # noqa: N818 - a reason to leave a part out, and no error
    """Why a part of a face is left out."""


@dataclass(frozen=True)
class PartLabel:
    """What a label file says.

    Attributes:
        file: the label file.
        filename: name of the picture.
        subject: id of the person.
        part: number of the part of the face.
        device: camera, pad or phone; empty when it is another.
        info: age, gender, skin_type and sensitive, as text.
        annotations: grades of the part, as text.
        acne: `NO_ACNE`, another word when there is some, None when nothing is said.
        box: as it is written, not checked.
        size: width and height of the picture; 0 where they are not told.
    """

    file: File
    filename: str
    subject: str
    part: int
    device: str
    info: Mapping[str, str]
    annotations: Mapping[str, str]
    acne: str | None
    box: object
    size: tuple[int, int]

    @property
    def stem(self) -> str:
        """The name of the picture without suffix, in small letters."""
        return PurePosixPath(self.filename).stem.casefold()

    @property
    def view(self) -> str:
        """The code of the view, in small letters."""
        return view_of(self.stem)


def view_of(stem: str) -> str:
    """The view in ``0002_01_Ft``, in small letters."""
    return stem.rsplit("_", 1)[-1].casefold()


def part_in_name(file: File) -> tuple[str, int] | None:
    """View and part of a label file named ``0002_01_F_05.json``; None for any other name."""
    match = re.fullmatch(r"\d+_\d+_([A-Za-z]+\d*)_(\d\d)", PurePosixPath(file.name).stem)
    return (match[1].casefold(), int(match[2])) if match else None


def read_part_label(file: File) -> PartLabel | None:
    """Reads a label file; None when it is damaged or no label of a part."""
    try:
        content = json.loads(read_text(file))
    except (InputError, ValueError, RecursionError):
        return None
    content = _table(content)
    info, picture = _table(content.get("info")), _table(content.get("images"))
    annotations = _table(content.get("annotations"))
    filename = composed(str(info.get("filename") or "")).replace("\\", "/").rsplit("/", 1)[-1]
    part = picture.get("facepart")
    if not filename or not str(part).isdecimal():
        return None
    acne = None
    if "acne" in annotations:
        acne = "some" if annotations["acne"] else NO_ACNE
    return PartLabel(
        file=file,
        filename=filename,
        subject=_text(info.get("id")) or filename.split("_")[0],
        part=int(str(part)),
        device=_DEVICES.get(_text(picture.get("device")), ""),
        info={name: _text(info.get(name)) for name in INFO},
        annotations={
            composed(name): _text(value)
            for name, value in annotations.items()
            if isinstance(value, int | float | str)
        },
        acne=acne,
        box=picture.get("bbox"),
        size=(_pixels(picture.get("width")), _pixels(picture.get("height"))),
    )


def box_of(label: PartLabel, size: tuple[int, int]) -> Box:
    """The box of a part.

    Args:
        label: the label.
        size: true width and height of the upright picture.

    Raises:
        Refusal: there is none, it is empty, as large as a face, or not of this picture.
    """
    # In a picture that was made smaller the box would reach around the face.
    if label.size != size:
        raise Refusal("the picture is not of the size that its label tells")
    if label.box is None:
        raise Refusal("the part has no box")
    if not isinstance(label.box, list) or len(label.box) != 4:
        raise Refusal("the box is not four numbers")
    numbers = [n for n in label.box if isinstance(n, int | float) and math.isfinite(n)]
    if len(numbers) != 4:
        raise Refusal("the box is not four numbers")
    left, upper, right, lower = (round(number) for number in numbers)
    if left >= right or upper >= lower:
        raise Refusal("the box is empty")
    if (right - left) * (lower - upper) > _LARGEST_SHARE * size[0] * size[1]:
        raise Refusal("the box is as large as a face")
    return left, upper, right, lower


def upright_size(picture: File) -> tuple[int, int]:
    """Width and height of a picture when it is upright, from its first bytes.

    Raises:
        Refusal: it cannot be read.
    """
    try:
        data = picture.location.read_start(_HEADER)
        width, height, _ = image_size(data, picture.name)
        with Image.open(io.BytesIO(data)) as opened:
            turned = opened.getexif().get(ExifTags.Base.Orientation, 1) >= _FIRST_TURNED
    except (InputError, OSError, SyntaxError, ValueError, TypeError) as error:
        raise Refusal("the picture cannot be read") from error
    return (height, width) if turned else (width, height)


def _table(value: object) -> dict[str, Any]:
    # Where nothing was measured, some files hold a list or null instead of a table.
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return "" if value is None else composed(str(value))


def _pixels(value: object) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0
