"""What a comparison leaves: one table (CSV), one page with table, pictures and recommendation."""

import json
from pathlib import Path

import pandas as pd

from hzsynth.core.files import atomic_write_text
from hzsynth.cyclegan.comparison import Comparison
from hzsynth.cyclegan.gate import Row
from hzsynth.report.contact_sheet import comparison_rows
from hzsynth.report.page import HtmlPage
from hzsynth.report.tables import table_csv

PAGE, TABLE, FIGURES = "report.html", "comparison.csv", "comparison.json"


def write_comparison(result: Comparison, out: Path) -> Path:
    """Writes ``report.html``, ``comparison.csv`` and ``comparison.json``.

    Args:
        result: of `compare`.
        out: a folder.

    Returns:
        The page's path.

    Raises:
        InputError: it cannot be written.
    """
    counts = result.counts
    page = HtmlPage(
        "Translation against its alternatives",
        f"{counts['source']} photographs with lesions, {counts['target']} of the target's skin, at "
        f"{result.config.size} px",
    )
    floors = [
        "KID unknown" if result.kid_floor is None else f"KID {result.kid_floor:.4f}",
        "ITA unknown" if result.tone_floor is None else f"ITA {result.tone_floor:.1f}°",
    ]
    page.verdict(
        result.recommendation,
        "good" if result.passed else "bad",
        f"Between two halves of the target's photographs: {', '.join(floors)}. Judge: {result.judge}.",
    )
    page.section("Every method on the same photographs").table(
        pd.DataFrame([_cells(row) for row in result.rows]),
        caption="kept: share of the lesions that the judge called one before and still calls one, "
        "and the same after JPEG at quality 75; SSIM and an LPIPS-like distance of backbone features inside the lesion, contrast "
        "in a* and area that looks inflamed (after / before; 1 is unchanged), medians; ITA, a*, b*: "
        "first Wasserstein distance of the skin around the lesion to the target's; KID on patches "
        "without lesion (± over subsets); turned: healthy photographs that become a lesion.",
    )
    pictures = page.section("The same photographs by every method")
    pictures.figure(
        comparison_rows(result.sheet),
        caption="Photographs spread evenly over those compared, none chosen by hand.",
        alt="Rows of photographs, one row a method.",
    )
    page.section("What limits this comparison").text(
        f"{'. '.join(map(_sentence, result.remarks))}."
    )
    atomic_write_text(out / FIGURES, json.dumps(result.to_json(), indent=2, ensure_ascii=False))
    atomic_write_text(out / TABLE, table_csv(pd.DataFrame([vars(row) for row in result.rows])))
    page.write(out / PAGE)
    return out / PAGE


def _sentence(remark: str) -> str:
    return remark[:1].upper() + remark[1:]


def _cells(row: Row) -> dict[str, str]:
    return {
        "method": row.method,
        "kept": _percent(row.retention),
        "JPEG": _percent(row.retention_jpeg),
        "SSIM": _number(row.similarity, 2),
        "LPIPS": _number(row.feature_distance, 2),
        "contrast": _number(row.contrast, 2),
        "area": _number(row.area, 2),
        "ITA °": _number(row.tone, 1),
        "a*": _number(row.red, 1),
        "b*": _number(row.yellow, 1),
        "KID": _number(row.kid, 4) + ("" if row.kid_spread is None else f" ± {row.kid_spread:.4f}"),
        "normal turned": _percent(row.normal_turned),
        "n": str(row.pictures),
    }


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
