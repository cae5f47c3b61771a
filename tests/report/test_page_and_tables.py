import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.report import tables
from hzsynth.report.page import HtmlPage, embed_picture

FRAME = pd.DataFrame(
    {
        "model": ["a_b & c", "<script>"],
        "F1": [0.81234, float("nan")],
        "n": [30, 1200],
        "verdict": ["pass", "falls short"],
    }
)


class _Outline(HTMLParser):
    """Checks nesting and collects tags, ids and links as a second reader of the page."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _page() -> HtmlPage:
    page = HtmlPage("Zoster & <others>", "대상포진", language="ko")
    page.verdict("Inconclusive at n = 30.", "neutral", "detail <b>")
    picture = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)
    section = page.section("Same title", "intro")
    section.text("a < b").note("limit").heading("small").code("x <y>").items({"seed": 0})
    section.figure(picture, caption="c", alt="left", narrow=True)
    section.figure(picture, caption="c", alt="right", narrow=True)
    section.figure(picture, caption="c", alt="alone", narrow=True)
    page.section("Same title").table(FRAME, caption="levels", tones={"pass": "good"})
    return page


def test_the_page_is_well_formed_and_asks_nothing_of_the_network() -> None:
    html = _page().render()
    outline = _Outline()
    outline.feed(html)
    assert outline.open == []
    for tag, attributes in outline.tags:
        assert tag not in ("link", "script", "iframe")
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/"))
    assert "url(" not in html
    assert "@import" not in html
    assert "http" not in re.sub(r"data:image/[^\"]+", "", html)


def test_the_contents_lead_to_every_section_once() -> None:
    outline = _Outline()
    outline.feed(_page().render())
    ids = [a["id"] for _, a in outline.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = {(a["href"] or "")[1:] for tag, a in outline.tags if tag == "a"}
    assert links <= set(ids)
    assert {"same-title", "same-title-2"} <= links


def test_text_is_escaped_and_the_verdict_comes_first() -> None:
    html = _page().render()
    assert "<others>" not in html
    assert "Zoster &amp; &lt;others&gt;" in html
    assert "<script>" not in html
    assert html.index("Inconclusive") < html.index("Same title</h2>")
    assert '<html lang="ko">' in html


def test_pictures_are_inside_and_unchanged() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    embedded = embed_picture(picture)
    data = base64.b64decode(embedded.uri.partition("base64,")[2])
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image), picture)
    assert (embedded.width, embedded.height) == (7, 9)


def test_a_huge_photographic_sheet_is_stored_as_jpeg() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    assert embed_picture(noise).uri.startswith("data:image/jpeg")


def test_every_picture_needs_a_description() -> None:
    with pytest.raises(InputError, match="alt"):
        HtmlPage("t").section("s").figure(np.zeros((2, 2, 3), np.uint8), caption="c", alt=" ")


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_arrays_that_are_no_picture_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="uint8"):
        embed_picture(wrong)


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(InputError, match="cannot be shown"):
        embed_picture(tmp_path / "a.png")


def test_the_page_is_written_whole(tmp_path: Path) -> None:
    _page().write(tmp_path / "sub" / "report.html")
    assert (tmp_path / "sub" / "report.html").read_text("utf-8") == _page().render()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.81234, "0.812"),
        (float("nan"), "–"),
        (None, "–"),
        (np.float32(0.5), "0.500"),
        (np.int64(30), "30"),
        (1200.0, "1200"),
        (1e-5, "1.0e-05"),
        (0.0, "0.000"),
        (True, "yes"),
        (-0.25, "-0.250"),
    ],
)
def test_numbers_are_written_alike(value: object, text: str) -> None:
    assert tables.format_value(value) == text


def test_csv_keeps_full_precision() -> None:
    back = pd.read_csv(io.StringIO(tables.table_csv(FRAME)))
    pd.testing.assert_frame_equal(back, FRAME.astype(back.dtypes))


def test_html_table_reads_back_and_marks_tones() -> None:
    html = tables.table_html(FRAME, caption="a & b", tones={"pass": "good"})
    outline = _Outline()
    outline.feed(html)
    assert outline.open == []
    assert sum(tag == "tr" for tag, _ in outline.tags) == 3
    assert ("td", {"class": "short good"}) in outline.tags
    assert '<td class="number">0.812</td>' in html
    assert "&lt;script&gt;" in html


def test_markdown_rows_have_equal_columns() -> None:
    frame = pd.DataFrame({"a|b": ["x|y"], "n": [1]})
    lines = tables.table_markdown(frame).splitlines()
    assert lines == ["| a\\|b | n |", "| --- | ---: |", "| x\\|y | 1 |"]


def test_latex_escapes_what_latex_reads() -> None:
    latex = tables.table_latex(FRAME, caption="50 % of_n", label="tab:x")
    assert r"a\_b \& c & 0.812 & 30 & pass \\" in latex
    assert r"\caption{50 \% of\_n}" in latex
    assert r"\begin{tabular}{lrrl}" in latex
    assert latex.count(r"\begin") == latex.count(r"\end")
