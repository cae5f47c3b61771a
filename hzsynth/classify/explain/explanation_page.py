"""Explanations as a sheet of pictures, a table and one page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from hzsynth.classify.explain.explanation import ALIKE, Explanation, Shown
from hzsynth.classify.explain.heat_maps import Heat, lay_over
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_files import write_png
from hzsynth.report.contact_sheet import contact_sheet
from hzsynth.report.page import HtmlPage, Tone
from hzsynth.report.tables import table_csv

PAGE = "explanation.html"
_SIDE = 200
_OUTLINE = (0, 200, 255)
_PAIRS_A_ROW = 3
_NAMES = {"grad-cam": "Grad-CAM", "score-cam": "Score-CAM"}


def _picture(one: Shown) -> NDArray[np.uint8]:
    return np.asarray(
        cv2.resize(np.ascontiguousarray(one.pixels.transpose(1, 2, 0)), (_SIDE, _SIDE))
    )


def _outlined(picture: NDArray[np.uint8], lesion: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """The picture with the lesion's border drawn on it."""
    if lesion is None:
        return picture
    large = cv2.resize(lesion.astype(np.uint8), (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
    borders, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(picture.copy(), borders, -1, _OUTLINE, 1))


def explanation_sheet(
    shown: Sequence[Shown], found: Sequence[Explanation], heats: Sequence[Heat]
) -> NDArray[np.uint8]:
    """Photographs beside their heat maps, the lesion outlined, three pairs a row.

    Args:
        shown: N photographs.
        found: N explanations by one method.
        heats: N heat maps.

    Returns:
        The sheet, uint8 height x width x 3.
    """
    pictures, captions = [], []
    for one, entry, heat in zip(shown, found, heats, strict=True):
        plain = _picture(one)
        pictures += [_outlined(plain, one.lesion), _outlined(lay_over(plain, heat), one.lesion)]
        captions.append(one.truth.replace("_", " ") or one.name)
        inside = "" if entry.share_inside is None else f", {entry.share_inside:.0%} inside"
        captions.append(f"{entry.predicted.replace('_', ' ')} {entry.probability:.0%}{inside}")
    pixels = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())
    return contact_sheet(pixels, 2 * _PAIRS_A_ROW, captions)


def explanation_table(found: Sequence[Explanation]) -> pd.DataFrame:
    """One row a photograph and method."""
    return pd.DataFrame([entry.to_json() for entry in found])


def _shown_table(found: Sequence[Explanation], several: bool) -> pd.DataFrame:
    """The table without what is empty or the same in every row, to fit on a page."""
    table = explanation_table(found).dropna(axis=1, how="all")
    table["name"] = [Path(name).name for name in table["name"]]
    alike = [] if several else ["method"]
    if (table["explained"] == table["predicted"]).all():
        alike.append("explained")
    return table.drop(columns=alike)


def summary(found: Sequence[Explanation]) -> tuple[str, Tone, str]:
    """The verdict on one method's maps: sentence, tone, detail."""
    known = [e.correlation_random for e in found if e.correlation_random is not None]
    inside = [(e.share_inside, e.lesion_share) for e in found if e.share_inside is not None]
    details = []
    if inside:
        heat = float(np.median([share for share, _ in inside if share is not None]))
        area = float(np.median([area for _, area in inside if area is not None]))
        details.append(
            f"Median share of the heat inside the lesion: {heat:.0%}; an even heat would have "
            f"{area:.0%} there (n = {len(inside)})."
        )
    empty = len(found) - len(known)
    if empty:
        maps = "1 map is" if empty == 1 else f"{empty} maps are"
        details.append(f"{maps} empty or without contrast.")
    if not known:
        return "No map could be compared with random weights.", "neutral", " ".join(details)
    middle = float(np.median(known))
    compared = f"median rank correlation {middle:.2f} with the maps of random weights"
    if middle > ALIKE:
        return f"The maps say little about what was learned: {compared}.", "bad", " ".join(details)
    return f"The maps depend on what was learned: {compared}.", "good", " ".join(details)


def write_explanation(
    run: str,
    shown: Sequence[Shown],
    found: Sequence[Explanation],
    heats: Mapping[str, Sequence[Heat]],
    folder: Path,
) -> Path:
    """Writes ``explanation.json``, ``.csv``, ``.html`` and a sheet a method.

    Args:
        run: id of the classifier's run.
        shown: N photographs.
        found: of `explanation.explain`.
        heats: method -> N heat maps.
        folder: where the files go.

    Returns:
        The page's file.

    Raises:
        InputError: a file cannot be written.
    """
    text = json.dumps([e.to_json() for e in found], indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(folder / "explanation.json", text)
    atomic_write_text(folder / "explanation.csv", table_csv(explanation_table(found)))
    page = HtmlPage("What the classifier looks at", f"{len(shown)} photographs, run {run}")
    for method, maps in heats.items():
        entries = [entry for entry in found if entry.method == method]
        sheet = explanation_sheet(shown, entries, maps)
        write_png(folder / f"{method}.png", sheet)
        sentence, tone, detail = summary(entries)
        if len(page.sections) == 0:
            page.verdict(sentence, tone, detail)
        section = page.section(_NAMES[method])
        section.text(f"{sentence} {detail}")
        section.figure(
            sheet,
            caption="Left the photograph with its class, the lesion outlined where a mask is known; "
            "right what speaks for the answer given, the brighter the more.",
            alt=f"{method} of {len(shown)} photographs",
        )
    page.section("Figures").table(_shown_table(found, several=len(heats) > 1))
    page.write(folder / PAGE)
    return folder / PAGE
