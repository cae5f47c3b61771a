"""What a comparison leaves: one table (CSV), one page with table, pictures and recommendation."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hzsynth.core.files import atomic_write_text
from hzsynth.cyclegan.comparison import Comparison
from hzsynth.cyclegan.gate import MODEL, Row
from hzsynth.cyclegan.paired_distance import Gain
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
        "texture unknown"
        if result.texture_floor is None
        else f"texture {result.texture_floor:.3f}",
        "ITA unknown" if result.tone_floor is None else f"ITA {result.tone_floor:.1f}°",
    ]
    page.verdict(
        result.recommendation,
        "good" if result.passed else "bad",
        f"Between patients of the target, at as many photographs: {', '.join(floors)}. Judge: "
        f"{result.judge}. {_learned(result.rows)}",
    )
    page.section("Every method on the same photographs").table(
        pd.DataFrame([_cells(row) for row in result.rows]),
        caption="kept: share of the lesions that the judge called one before and still calls one, "
        "and the same after JPEG at quality 75; SSIM and an LPIPS-like distance of backbone features inside the lesion, contrast "
        "in a* and area that looks inflamed (after / before; 1 is unchanged), medians; ITA, a*, b*: "
        "first Wasserstein distance of the skin around the lesion to the target's; KID on patches "
        "without lesion (± over subsets); texture: the same distance in the bands, sparseness and coherence of "
        "those patches, which see no tone; nearer: how much nearer to the target than the closed-form tone map, KID "
        "and texture (± error of the difference between patients); colours: share of the change that an affine map of "
        "colours explains; turned: healthy photographs that become a lesion.",
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
    atomic_write_text(out / TABLE, table_csv(pd.DataFrame([row.flat() for row in result.rows])))
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
        "texture": _number(row.texture, 3),
        "nearer, KID": _gain(row.kid_gain, 4),
        "nearer, texture": _gain(row.texture_gain, 3),
        "colours": _percent(row.colour_map, 1),
        "normal turned": _percent(row.normal_turned),
        "n": str(row.pictures),
    }


def _learned(rows: Sequence[Row]) -> str:
    """What of the model's change a map of colours explains."""
    model = [row for row in rows if row.method == MODEL and row.colour_map is not None]
    if not model:
        return ""
    return f"An affine map of colours explains {_percent(model[0].colour_map, 1)} of the model's change."


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}%}"


def _gain(gain: Gain | None, digits: int) -> str:
    return "–" if gain is None else f"{gain.value:+.{digits}f} ± {gain.error:.{digits}f}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
