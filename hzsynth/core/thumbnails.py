"""A few pictures and their counts as a piece of HTML that needs no other file, for notebooks."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.photos import decode_image

_SIDE = 96


def overview_html(
    title: str, counts: Mapping[str, Mapping[str, int]], pictures: Sequence[tuple[Path, str]]
) -> str:
    """Draws a title, lines of counts and captioned thumbnails.

    Args:
        title: one line.
        counts: name of a line -> what is counted -> how many; a line without entries is left out.
        pictures: image files with their captions; one that cannot be read is shown by a sentence.

    Returns:
        HTML with all pictures inside; equal arguments give equal text.
    """
    lines = "".join(
        f"<div>{html.escape(name)}: "
        + ", ".join(f"{html.escape(key or 'none')} {count}" for key, count in line.items())
        + "</div>"
        for name, line in counts.items()
        if line
    )
    figures = "".join(_figure(file, caption) for file, caption in pictures)
    return (
        f'<div style="font-family:sans-serif"><strong>{html.escape(title)}</strong>{lines}'
        f'<div style="display:flex;flex-wrap:wrap;gap:4px;margin-top:6px">{figures}</div></div>'
    )


def _figure(file: Path, caption: str) -> str:
    text = html.escape(caption)
    try:
        picture = Image.fromarray(decode_image(file.read_bytes(), str(file)))
    except (OSError, InputError):
        shown = f'<div style="width:{_SIDE}px">cannot be read</div>'
    else:
        picture.thumbnail((_SIDE, _SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=85)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        shown = f'<img alt="{text}" src="data:image/jpeg;base64,{data}">'
    return (
        f'<figure style="margin:0;width:{_SIDE}px">{shown}<figcaption style="font-size:11px;'
        f'overflow:hidden;text-overflow:ellipsis">{text}</figcaption></figure>'
    )
