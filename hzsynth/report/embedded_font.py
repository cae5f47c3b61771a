"""A Korean font inside a page: the glyphs that it needs and no others.

A hospital's desk has Korean fonts, a server that prints pages to PDF often has none and would draw
boxes. The package koreanize-matplotlib (the extra ``korean``) brings NanumGothic, which may be
embedded (SIL Open Font License 1.1).
"""

import base64
import io
from functools import lru_cache
from pathlib import Path

from fontTools import subset

from hzsynth.report.fonts import packaged_korean_fonts

FAMILY = "hzsynth Korean"
"""The family that `embedded_font` declares.

A page names it first: named after others, browsers may draw a word before the font is there.
"""


def hangul(text: str) -> str:
    """The Korean letters of a text, each once, in order of their codes."""
    return "".join(
        sorted({c for c in text if "\uac00" <= c <= "\ud7a3" or "\u3130" <= c <= "\u318f"})
    )


def embedded_font(text: str) -> str:
    """Style rules that declare `FAMILY` with the Korean letters of a text.

    Args:
        text: all that a page says.

    Returns:
        ``@font-face`` rules of two weights with the glyphs as base64, some 100 kB; empty where the
        text has no Korean letter or the font is not installed.
    """
    letters = hangul(text)
    if not letters:
        return ""
    return "\n".join(
        _face(file, weight, letters) for weight, file in packaged_korean_fonts().items()
    )


# The sources of hinting that NanumGothic carries; without hinting nobody needs them, and fontTools
# would warn of each table that it cannot reduce.
_HINTING_SOURCES = ("TSI0", "TSI1", "TSI2", "TSI3", "TSI5")


@lru_cache(maxsize=4)
def _face(file: Path, weight: str, letters: str) -> str:
    options = subset.Options(flavor="woff", hinting=False, notdef_outline=True)
    options.drop_tables += _HINTING_SOURCES
    glyphs = subset.Subsetter(options)
    glyphs.populate(text=letters)
    buffer = io.BytesIO()
    with subset.load_font(str(file), options) as font:
        glyphs.subset(font)
        subset.save_font(font, buffer, options)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'@font-face {{ font-family: "{FAMILY}"; font-weight: {weight}; '
        f"unicode-range: U+AC00-D7A3, U+3130-318F; "
        f'src: url(data:font/woff;base64,{data}) format("woff"); }}'
    )
