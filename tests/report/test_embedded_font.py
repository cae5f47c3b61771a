import base64
import io
import re

import pytest
from fontTools.ttLib import TTFont

from hzsynth.report import embedded_font as module
from hzsynth.report import fonts
from hzsynth.report.embedded_font import FAMILY, embedded_font


def letters_of(rules: str) -> list[str]:
    """The characters of each embedded font that a program can draw."""
    found = []
    for data in re.findall(r"base64,([A-Za-z0-9+/=]+)", rules):
        font = TTFont(io.BytesIO(base64.b64decode(data)))
        found.append("".join(sorted(map(chr, font.getBestCmap()))))
    return found


def test_a_page_gets_the_glyphs_that_it_needs_in_two_weights() -> None:
    rules = embedded_font("대상포진, 32% (zoster) 대상")
    assert letters_of(rules) == ["대상진포"] * 2
    assert rules.count(FAMILY) == 2
    assert re.findall(r"font-weight: (\d+)", rules) == ["400", "700"]
    assert "http" not in rules


def test_a_glyph_has_an_outline() -> None:
    data = re.search(r"base64,([A-Za-z0-9+/=]+)", embedded_font("진"))
    assert data is not None
    font = TTFont(io.BytesIO(base64.b64decode(data.group(1))))
    glyph = font["glyf"][font.getBestCmap()[ord("진")]]
    assert glyph.numberOfContours >= 2


def test_a_page_without_korean_gets_none() -> None:
    assert embedded_font("herpes zoster, ø 12 µm") == ""


def test_without_the_package_the_system_has_to_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "packaged_korean_fonts", dict)
    assert embedded_font("대상포진") == ""


def test_pictures_write_korean_with_the_package() -> None:
    found = fonts.korean_font()
    assert found is not None
    assert fonts.printable("대상포진") == "대상포진"
    assert found[0] in fonts.families()


def test_nothing_is_said_of_tables_that_a_page_does_not_need(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module._face.cache_clear()
    assert embedded_font("판독")
    assert caplog.records == []
