"""Tables of a report: one DataFrame as HTML, CSV, Markdown or LaTeX, numbers formatted alike."""

import numbers
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

GOOD, BAD, NEUTRAL = "good", "bad", "neutral"
_MISSING = "–"
_LARGE = 10
_SHORT = 32
"""Columns whose texts are this short are kept on one line; the table scrolls instead."""


def format_value(value: object, digits: int = 3) -> str:
    """A cell's text: `digits` significant decimals for fractions, none for whole numbers."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return _MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return f"{int(value)}"
    if isinstance(value, numbers.Real):
        number = float(value)
        if number.is_integer() and abs(number) >= 100:
            return f"{number:.0f}"
        return (
            f"{number:.{digits}f}" if abs(number) >= 10**-digits or not number else f"{number:.1e}"
        )
    return str(value)


def _texts(frame: pd.DataFrame, digits: int) -> list[list[str]]:
    columns = []
    for name in frame.columns:
        values = frame[name].tolist()
        decimals = _decimals(values, digits)
        columns.append([format_value(value, decimals) for value in values])
    return [list(row) for row in zip(*columns, strict=True)]


def _decimals(values: Sequence[object], digits: int) -> int:
    """Two digits fewer in a column that reaches ten: nobody reads 140.300 milliseconds."""
    sizes = [abs(float(v)) for v in values if isinstance(v, float) and v == v]
    return max(1, digits - 2) if max(sizes, default=0.0) >= _LARGE else digits


def _numeric(frame: pd.DataFrame) -> list[bool]:
    return [
        is_numeric_dtype(frame[name].dtype) and not is_bool_dtype(frame[name].dtype)
        for name in frame.columns
    ]


def table_html(
    frame: pd.DataFrame,
    *,
    caption: str = "",
    digits: int = 3,
    tones: Mapping[str, str] | None = None,
) -> str:
    """The frame as an HTML table that scrolls on its own when it is too wide.

    Args:
        frame: rows and columns; the index is not shown. The first column heads its row.
        caption: a sentence above the table.
        digits: decimals of fractions.
        tones: cell text -> ``good``, ``bad`` or ``neutral``, for coloured cells (the text
            itself must say it too).

    Returns:
        Escaped HTML.
    """
    texts = _texts(frame, digits)
    kinds = [
        "number" if number else "short" if all(len(row[i]) <= _SHORT for row in texts) else ""
        for i, number in enumerate(_numeric(frame))
    ]
    head = "".join(
        _cell("th", str(name), kind, ' scope="col"')
        for name, kind in zip(frame.columns, kinds, strict=True)
    )
    lines = []
    for row in texts:
        first = _cell("th", row[0], kinds[0], ' scope="row"')
        others = [
            _cell("td", text, f"{kind} {(tones or {}).get(text, '')}".strip())
            for text, kind in zip(row[1:], kinds[1:], strict=True)
        ]
        lines.append(f"<tr>{first}{''.join(others)}</tr>")
    title = f'<p class="caption">{escape(caption)}</p>' if caption else ""
    label = escape(caption or "table", quote=True)
    return (
        f'{title}<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(tag: str, text: str, classes: str, attributes: str = "") -> str:
    marked = f' class="{classes}"' if classes else ""
    return f"<{tag}{attributes}{marked}>{escape(text)}</{tag}>"


def table_csv(frame: pd.DataFrame) -> str:
    """The frame as CSV with full precision, without the index."""
    return frame.to_csv(index=False, lineterminator="\n")


def table_markdown(frame: pd.DataFrame, *, digits: int = 3) -> str:
    """The frame as a Markdown table; numbers are set to the right."""

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"

    rules = ["---:" if number else "---" for number in _numeric(frame)]
    names = [str(name) for name in frame.columns]
    rows = [line(names), line(rules), *(line(row) for row in _texts(frame, digits))]
    return "\n".join(rows) + "\n"


def table_latex(frame: pd.DataFrame, *, caption: str = "", label: str = "", digits: int = 3) -> str:
    """The frame as a LaTeX table in booktabs form (needs the package booktabs)."""
    texts = pd.DataFrame(_texts(frame, digits), columns=[str(name) for name in frame.columns])
    columns = "".join("r" if number else "l" for number in _numeric(frame))

    def escaped(text: str) -> str:
        special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
        special |= {c: f"\\{c}" for c in "&%$#_{}"} | {"–": "--", "×": r"$\times$"}
        return "".join(special.get(character, character) for character in text)

    rows = [" & ".join(escaped(c) for c in row) + r" \\" for row in texts.to_numpy().tolist()]
    head = " & ".join(escaped(c) for c in texts.columns) + r" \\"
    lines = [r"\begin{table}[t]", r"\centering"]
    lines += [rf"\caption{{{escaped(caption)}}}"] if caption else []
    lines += [rf"\label{{{label}}}"] if label else []
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"
