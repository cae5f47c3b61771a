"""HtmlPage: a report in one file that opens anywhere, pictures inside, nothing from outside."""

import base64
import functools
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_text
from hzsynth.report.style import figure_png
from hzsynth.report.tables import table_html

Tone = Literal["good", "unsure", "bad", "neutral"]
_JPEG_ABOVE_BYTES = 1_200_000


@dataclass(frozen=True)
class Picture:
    """A picture as the page embeds it: data URI and size in CSS pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class _Block:
    kind: str
    text: str = ""
    picture: Picture | None = None
    caption: str = ""
    alt: str = ""
    html: Markup = field(default=Markup(""))
    items: tuple[tuple[str, str], ...] = ()
    narrow: bool = False


def _data_uri(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _encoded(image: Image.Image) -> tuple[bytes, str]:
    # Large sheets of photographs would make the page heavy: they are stored as JPEG.
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    if buffer.tell() <= _JPEG_ABOVE_BYTES:
        return buffer.getvalue(), "image/png"
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="JPEG", quality=92, subsampling=0)
    return buffer.getvalue(), "image/jpeg"


def embed_picture(picture: Figure | NDArray[np.uint8] | Path) -> Picture:
    """Encodes a picture for embedding.

    Args:
        picture: a matplotlib figure, an array of uint8 height x width x 3, or a PNG or JPEG file.

    Returns:
        The embedded picture. Figures are drawn at twice their CSS size; sheets above 1.2 MB
        as PNG are stored as JPEG.

    Raises:
        InputError: the file is no picture, or the array has another form.
    """
    if isinstance(picture, Figure):
        width, height = picture.get_size_inches() * 120
        return Picture(
            _data_uri(figure_png(picture, dpi=220), "image/png"), int(width), int(height)
        )
    if isinstance(picture, Path):
        try:
            with Image.open(picture) as opened:
                image = opened.convert("RGB")
        except OSError as error:
            raise InputError(f"'{picture}' cannot be shown in a report: {error}") from error
    else:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError(
                f"a picture in a report is uint8 height x width x 3, "
                f"not {picture.dtype} of shape {picture.shape}"
            )
        image = Image.fromarray(picture)
    data, mime = _encoded(image)
    return Picture(_data_uri(data, mime), image.width, image.height)


class Section:
    """A part of the page under its own heading; made by `HtmlPage.section`.

    Every method that adds something returns the section, so that calls can be chained.
    """

    def __init__(self, title: str, anchor: str) -> None:
        self.title = title
        self.anchor = anchor
        self.blocks: list[_Block] = []

    def text(self, paragraph: str) -> "Section":
        """Adds a paragraph of plain text."""
        self.blocks.append(_Block("text", text=paragraph))
        return self

    def note(self, text: str) -> "Section":
        """Adds a remark that stands apart: a limit or a warning."""
        self.blocks.append(_Block("note", text=text))
        return self

    def heading(self, text: str) -> "Section":
        """Adds a smaller heading."""
        self.blocks.append(_Block("heading", text=text))
        return self

    def code(self, text: str) -> "Section":
        """Adds preformatted text, such as a command."""
        self.blocks.append(_Block("code", text=text))
        return self

    def items(self, entries: Mapping[str, object]) -> "Section":
        """Adds a short list of names and values."""
        pairs = tuple((str(k), str(v)) for k, v in entries.items())
        self.blocks.append(_Block("items", items=pairs))
        return self

    def figure(
        self,
        picture: Figure | NDArray[np.uint8] | Path,
        *,
        caption: str,
        alt: str,
        narrow: bool = False,
    ) -> "Section":
        """Adds a picture.

        Args:
            picture: see `embed_picture`.
            caption: what is seen and what it rests on (n, seeds, spread).
            alt: the same for those who cannot see it; must not be empty.
            narrow: two narrow figures in a row stand side by side on a wide screen.

        Returns:
            The section.

        Raises:
            InputError: `alt` is empty, or the picture cannot be shown.
        """
        if not alt.strip():
            raise InputError("a figure needs a description (alt) for those who cannot see it")
        embedded = embed_picture(picture)
        self.blocks.append(
            _Block("figure", picture=embedded, caption=caption, alt=alt, narrow=narrow)
        )
        return self

    def table(
        self,
        frame: pd.DataFrame,
        *,
        caption: str = "",
        digits: int = 3,
        tones: Mapping[str, str] | None = None,
    ) -> "Section":
        """Adds a table (see `tables.table_html`)."""
        html = table_html(frame, caption=caption, digits=digits, tones=tones)
        self.blocks.append(_Block("table", html=Markup(html)))
        return self


def _anchor(title: str, taken: Sequence[str]) -> str:
    base = re.sub(r"[^\w]+", "-", unicodedata.normalize("NFC", title).lower()).strip("-") or "part"
    anchor, number = base, 2
    while anchor in taken:
        anchor, number = f"{base}-{number}", number + 1
    return anchor


@functools.cache
def _template() -> Template:
    source = (resources.files("hzsynth.report") / "templates" / "page.html.j2").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)


class HtmlPage:
    """A report: title, verdict, sections. Renders to one self-contained HTML file.

    Args:
        title: the page's name.
        subtitle: one line below it, such as the data set and the date.
        language: code of the text's language, such as ``en`` or ``ko``.
        footer: last line, such as the intended use.
    """

    def __init__(
        self,
        title: str,
        subtitle: str = "",
        *,
        language: str = "en",
        footer: str = "For research only; not a medical device.",
    ) -> None:
        self.title = title
        self.subtitle = subtitle
        self.language = language
        self.footer = footer
        self.sections: list[Section] = []
        self._verdict: tuple[str, Tone, str] | None = None

    def verdict(self, sentence: str, tone: Tone = "neutral", detail: str = "") -> None:
        """Sets the callout at the top: the answer in one sentence.

        Args:
            sentence: the answer.
            tone: colours the callout; the sentence itself must say it too.
            detail: what the answer rests on.
        """
        self._verdict = (sentence, tone, detail)

    def section(self, title: str, introduction: str = "") -> Section:
        """Opens a section at the end of the page.

        Args:
            title: its heading, also in the table of contents.
            introduction: a first paragraph, or empty.

        Returns:
            The section, to be filled.
        """
        section = Section(title, _anchor(title, [s.anchor for s in self.sections]))
        if introduction:
            section.text(introduction)
        self.sections.append(section)
        return section

    def render(self) -> str:
        """The page as HTML text; it refers to nothing outside itself."""
        return _template().render(page=self, verdict=self._verdict)

    def write(self, path: Path) -> None:
        """Writes the page.

        Raises:
            InputError: the file cannot be written.
        """
        atomic_write_text(path, self.render())
