"""Fonts of pictures: one that writes Korean when the machine has it, else a readable fallback.

A Korean font is one that the system has, or NanumGothic of the package koreanize-matplotlib (the
extra ``korean``), which a server without any can install.
Without a Korean font, Hangul is written in Latin letters, syllable by syllable after the
letter table of the Revised Romanization of Korean (2000), without its sound-change rules;
any other character that the font lacks becomes a question mark.
"""

import dataclasses
import functools
import unicodedata
from importlib.util import find_spec
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

_KOREAN_FAMILIES = (
    "Noto Sans KR",
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "NanumGothic",
    "NanumBarunGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "UnDotum",
    "Baekmuk Dotum",
)
LATIN_FAMILY = "DejaVu Sans"
_SYLLABLES, _VOWELS, _ENDINGS = 0xAC00, 21, 28
# A dash stands for the letter that is not sounded.
_INITIAL = "g kk n d tt r m b pp s ss - j jj ch k t p h"
_VOWEL = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i"
_ENDING = "- k k k n n n t l k m l l l p l m p p t t ng t t k t p t"


def packaged_korean_fonts() -> dict[str, Path]:
    """NanumGothic's files by weight (400, 700) where its package is installed, else empty."""
    # Not imported: that would change matplotlib's settings.
    spec = find_spec("koreanize_matplotlib")
    if spec is None or spec.origin is None:
        return {}
    folder = Path(spec.origin).parent / "fonts"
    return {"400": folder / "NanumGothic.ttf", "700": folder / "NanumGothicBold.ttf"}


@functools.cache
def korean_font() -> tuple[str, Path] | None:
    """Family name and file of a font that has Hangul, known to matplotlib, or None."""
    installed = {entry.name: Path(entry.fname) for entry in font_manager.fontManager.ttflist}
    for family in _KOREAN_FAMILIES:
        if family in installed and ord("한") in FT2Font(str(installed[family])).get_charmap():
            return family, installed[family]
    packaged = packaged_korean_fonts()
    if packaged:
        for weight, file in packaged.items():
            known = font_manager.fontManager
            known.addfont(file)
            # The bold file calls itself 600, of which matplotlib would remark that it is not 700.
            known.ttflist[-1] = dataclasses.replace(known.ttflist[-1], weight=int(weight))
        return "NanumGothic", packaged["400"]
    return None


def latin_font_file() -> Path:
    """The font file that comes with matplotlib."""
    return (
        Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{LATIN_FAMILY.replace(' ', '')}.ttf"
    )


@functools.cache
def _latin_characters() -> frozenset[int]:
    return frozenset(FT2Font(str(latin_font_file())).get_charmap())


@functools.cache
def _korean_characters() -> frozenset[int]:
    found = korean_font()
    return frozenset(FT2Font(str(found[1])).get_charmap()) if found else frozenset()


def families() -> list[str]:
    """Font families for matplotlib, the first that has a character writes it."""
    found = korean_font()
    return [LATIN_FAMILY, found[0]] if found else [LATIN_FAMILY]


def romanise(text: str) -> str:
    """Writes Hangul syllables in Latin letters; other characters stay.

    Args:
        text: any text, composed or decomposed (NFD).

    Returns:
        For example ``daesang`` for 대상.
    """
    initials, vowels, endings = (
        [letter.strip("-") for letter in table.split()] for table in (_INITIAL, _VOWEL, _ENDING)
    )
    letters = []
    for character in unicodedata.normalize("NFC", text):
        index = ord(character) - _SYLLABLES
        if 0 <= index < len(initials) * _VOWELS * _ENDINGS:
            initial, rest = divmod(index, _VOWELS * _ENDINGS)
            vowel, ending = divmod(rest, _ENDINGS)
            letters.append(initials[initial] + vowels[vowel] + endings[ending])
        else:
            letters.append(character)
    return "".join(letters)


def printable(text: str) -> str:
    """The text as the available fonts can write it (see the module's first lines)."""
    composed = unicodedata.normalize("NFC", text)
    drawable = _latin_characters() | _korean_characters() | {ord("\n")}
    if all(ord(c) in drawable for c in composed):
        return composed
    readable = romanise(composed) if korean_font() is None else composed
    return "".join(c if ord(c) in drawable else "?" for c in readable)


def pillow_font_file(text: str) -> Path:
    """The font file with which Pillow writes `text` (which went through `printable`)."""
    found = korean_font()
    if found and not all(ord(c) in _latin_characters() for c in text):
        return found[1]
    return latin_font_file()
