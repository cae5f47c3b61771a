"""The page of `data inspect`: what a collection is like, to be looked at before it is used."""

from pathlib import Path

import pandas as pd

from hzsynth.data.inspect import Inspection
from hzsynth.report.page import HtmlPage
from hzsynth.report.plots import class_counts_plot


def write_inspection(found: Inspection, name: str, out: Path) -> Path:
    """Writes what was found as one self-contained page.

    Args:
        found: the result of `inspect_images`.
        name: how the collection is called.
        out: a folder, which then holds ``report.html``, or a file that ends in ``.html``.

    Returns:
        The page's path.

    Raises:
        InputError: it cannot be written.
    """
    page = HtmlPage(f"Inspection of {name}", f"{found.files} files, {len(found.classes)} classes")
    troubles = {
        "unreadable files": len(found.broken),
        "copies of another image": found.duplicates.files - found.duplicates.distinct,
        "label conflicts among copies": len(found.duplicates.label_conflicts),
        "photographs in two splits": len(found.duplicates.split_leaks),
        "images below 128 px": found.small,
        "images with camera metadata": found.metadata,
        "images without a named patient": found.without_group,
    }
    serious = [k for k in list(troubles)[:4] if troubles[k]]
    page.verdict(
        "Mend before use: " + ", ".join(f"{troubles[k]} {k}" for k in serious)
        if serious
        else "No unreadable files, copies or conflicts were found.",
        "bad" if serious else "good",
    )
    section = page.section("Classes")
    parts = found.splits or {"images": found.classes}
    counts = {
        label: {part: numbers.get(label, 0) for part, numbers in parts.items()}
        for label in found.classes
    }
    section.figure(
        class_counts_plot(counts),
        caption=f"{found.groups} named patients.",
        alt="Bars of the number of images of each class.",
    )
    section.items(troubles)
    tone = page.section("Skin tone")
    rows = [{"class": label, **values} for label, values in found.tone.items()]
    tone.table(
        pd.DataFrame(rows),
        caption="Individual typology angle of the skin outside the lesion, degrees: above 55 very "
        "light, 41 light, 28 intermediate, 10 tan, -30 brown, below dark.",
    )
    tone.items(found.tone_bins)
    sizes = page.section("Files")
    sizes.items({**{f"format {k}": v for k, v in found.formats.items()}, **found.shorter_side})
    for sentence in found.broken:
        sizes.note(sentence)
    copies = page.section("Copies and conflicts")
    for cluster in found.duplicates.clusters:
        copies.text("One photograph: " + ", ".join(cluster))
    for conflict in found.duplicates.label_conflicts:
        copies.note("Two labels: " + ", ".join(f"{k} is {v}" for k, v in conflict.items()))
    page.section("Some of the images").figure(
        found.sheet, caption="Evenly spaced over the collection.", alt="A contact sheet of images."
    )
    path = out if out.suffix == ".html" else out / "report.html"
    page.write(path)
    return path
