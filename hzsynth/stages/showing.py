"""How results show themselves in a notebook: a heading, sentences, a table, a picture."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hzsynth.report.page import embed_picture
from hzsynth.report.tables import format_value, table_html


def plain_rows(values: Mapping[str, Any]) -> pd.DataFrame:
    """The numbers, words and truth values among a result's values, one a row."""
    rows = [
        {"name": name.replace("_", " "), "value": format_value(value)}
        for name, value in values.items()
        if isinstance(value, (bool, int, float, str))
    ]
    return pd.DataFrame(rows, columns=["name", "value"])


def notebook_html(
    title: str,
    *,
    sentences: Sequence[str] = (),
    rows: pd.DataFrame | None = None,
    picture: Figure | NDArray[np.uint8] | Path | None = None,
) -> str:
    """A result as HTML.

    Args:
        title: a few words.
        sentences: paragraphs below it.
        rows: a table, or None.
        picture: a figure, uint8 height x width x 3, or a PNG file; or None.

    Returns:
        Escaped HTML that needs nothing from outside.
    """
    parts = [f"<strong>{escape(title)}</strong>"]
    parts += [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    if rows is not None and len(rows):
        parts.append(table_html(rows))
    if picture is not None:
        embedded = embed_picture(picture)
        parts.append(f'<img src="{embedded.uri}" alt="{escape(title)}" style="max-width:100%">')
    return "<div>" + "".join(parts) + "</div>"
