"""Contact sheets: many pictures on one, with captions, to be looked at together."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hzsynth.core.errors import InputError
from hzsynth.report.fonts import pillow_font_file, printable

_BACKGROUND, _INK = (255, 255, 255), (34, 34, 34)
_GAP = 4


def _checked(pixels: torch.Tensor, name: str) -> NDArray[np.uint8]:
    if pixels.ndim != 4 or pixels.shape[1] != 3 or pixels.dtype != torch.uint8:
        raise InputError(
            f"{name} is a uint8 tensor of N x 3 x height x width, "
            f"not {pixels.dtype} of shape {tuple(pixels.shape)}"
        )
    return pixels.permute(0, 2, 3, 1).cpu().numpy()


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _font(text: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(pillow_font_file(text)), size)


def _write(
    draw: ImageDraw.ImageDraw, position: tuple[int, int], text: str, size: int, width: int
) -> None:
    text = printable(text.replace("\n", " "))
    font = _font(text, size)
    draw.text(position, _shortened(text, font, width), fill=_INK, font=font)


def contact_sheet(
    pixels: torch.Tensor, columns: int, captions: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """Lays pictures out on a white sheet, row by row.

    Args:
        pixels: uint8 N x 3 x H x W, N at least 1.
        columns: pictures in a row.
        captions: one line under each picture (cut to its width), or None.

    Returns:
        The sheet, uint8 height x width x 3.

    Raises:
        InputError: the pixels have another form, there are none, or the captions do not match.
    """
    pictures = _checked(pixels, "pixels")
    if len(pictures) == 0 or columns < 1:
        raise InputError(
            f"a contact sheet needs one picture and one column at least, "
            f"not {len(pictures)} and {columns}"
        )
    if captions is not None and len(captions) != len(pictures):
        raise InputError(f"{len(captions)} captions were given for {len(pictures)} pictures")
    height, width = pictures.shape[1:3]
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    size = max(9, min(16, width // 7))
    caption_height = 0 if captions is None else round(size * 1.5)
    cell_width, cell_height = width + _GAP, height + caption_height + _GAP
    sheet = Image.new("RGB", (columns * cell_width + _GAP, rows * cell_height + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        left, top = _GAP + column * cell_width, _GAP + row * cell_height
        sheet.paste(Image.fromarray(picture), (left, top))
        if captions is not None:
            _write(draw, (left, top + height + 1), captions[index], size, width)
    return np.asarray(sheet)


def comparison_rows(
    rows: Mapping[str, torch.Tensor], columns: int = 8, captions: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """Sets several groups of pictures side by side: one row of each, its title above.

    Args:
        rows: title -> uint8 N x 3 x H x W; all of one H x W. The first `columns` are shown.
        columns: pictures in a row.
        captions: one line above each column, or None.

    Returns:
        The sheet, uint8 height x width x 3.

    Raises:
        InputError: there is no row, an empty one, or sizes differ.
    """
    shown = {title: _checked(pixels[:columns], f"'{title}'") for title, pixels in rows.items()}
    sizes = {pictures.shape[1:3] for pictures in shown.values()}
    if not shown or len(sizes) != 1 or any(len(pictures) == 0 for pictures in shown.values()):
        raise InputError(
            "rows to compare hold one picture each at least, all of one size, not "
            + (", ".join(f"{t}: {p.shape[:3]}" for t, p in shown.items()) or "none")
        )
    height, width = sizes.pop()
    count = max(len(pictures) for pictures in shown.values())
    total_width = count * (width + _GAP) + _GAP
    size = max(12, min(22, total_width // 38))
    band = round(size * 1.6)
    top_band = band if captions is not None else 0
    sheet = Image.new(
        "RGB", (total_width, top_band + len(shown) * (band + height + _GAP)), _BACKGROUND
    )
    draw = ImageDraw.Draw(sheet)
    for column, caption in enumerate(list(captions or [])[:count]):
        _write(draw, (_GAP + column * (width + _GAP), 2), caption, size, width)
    for row, (title, pictures) in enumerate(shown.items()):
        top = top_band + row * (band + height + _GAP)
        _write(draw, (_GAP, top + size // 5), title, size, total_width)
        for column, picture in enumerate(pictures):
            place = (_GAP + column * (width + _GAP), top + band)
            sheet.paste(Image.fromarray(picture), place)
    return np.asarray(sheet)
