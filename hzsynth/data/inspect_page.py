"""The page of `data inspect`: what a collection is like, to be looked at before it is used."""

from pathlib import Path

import pandas as pd

from hzsynth.data.duplicates import DuplicateReport
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
    troubles = _troubles(found)
    serious = [k for k in list(troubles)[:4] if troubles[k]]
    page.verdict(
        "Mend before use: " + ", ".join(f"{troubles[k]} {k}" for k in serious)
        if serious
        else "No unreadable files, copies or conflicts were found.",
        "bad" if serious else "good",
    )
    _classes(page, found, troubles)
    _shortcuts(page, found)
    _tone(page, found)
    _files(page, found)
    _copies(page, found.duplicates)
    page.section("Some of the images").figure(
        found.sheet, caption="Evenly spaced over the collection.", alt="A contact sheet of images."
    )
    path = out if out.suffix == ".html" else out / "report.html"
    page.write(path)
    return path


def _troubles(found: Inspection) -> dict[str, int]:
    """What may be wrong; the first four have to be mended."""
    return {
        "unreadable files": len(found.broken),
        "copies of another image": found.duplicates.files - found.duplicates.distinct,
        "label conflicts among copies": len(found.duplicates.label_conflicts),
        "photographs in two splits": len(found.duplicates.split_leaks),
        "images below 128 px": found.small,
        "images below 64 px": found.tiny,
        "blurred images": found.blurred,
        "images with EXIF": found.metadata.get("EXIF", 0),
        "images without a named patient": found.without_group,
    }


def _classes(page: HtmlPage, found: Inspection, troubles: dict[str, int]) -> None:
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


def _tone(page: HtmlPage, found: Inspection) -> None:
    section = page.section("Skin tone")
    rows = [
        {
            "class": label,
            "mean": values.get("mean"),
            "deviation": values.get("deviation"),
            "not told": f"{values['unclear']:.0%}",
        }
        for label, values in found.tone.items()
    ]
    section.table(
        pd.DataFrame(rows),
        caption="Individual typology angle of the skin outside the lesion, degrees: above 55 very "
        "light, 41 light, 28 intermediate, 10 tan, -30 brown, below dark. It is a colour in a "
        "photograph and no measurement of skin; where the colour is not that of skin in fair light, "
        "it is not told.",
    )
    section.items(found.tone_bins)
    section.items({f"not told: {reason}": count for reason, count in found.tone_unclear.items()})
    for name, sheet in found.tone_sheets.items():
        section.figure(
            sheet,
            caption=f"{name}: {found.tone_bins[name]} images, some of them.",
            alt=f"Images whose skin tone is {name}.",
        )


def _files(page: HtmlPage, found: Inspection) -> None:
    section = page.section("Files")
    section.items(
        {
            **{f"format {name}": count for name, count in found.formats.items()},
            **{f"hidden {name}": count for name, count in found.metadata.items()},
            **{f"shorter side, {name}, px": value for name, value in found.shorter_side.items()},
            **{f"longer to shorter side, {name}": value for name, value in found.aspect.items()},
        }
    )
    for sentence in found.broken:
        section.note(sentence)


def _copies(page: HtmlPage, found: DuplicateReport) -> None:
    section = page.section("Copies and conflicts")
    rate = 1 - found.distinct / max(1, found.files)
    section.text(
        f"{found.files} readable images show {found.distinct} different "
        f"photographs: {rate:.1%} are copies."
    )
    for cluster in found.clusters:
        section.text("One photograph: " + ", ".join(cluster))
    for conflict in found.label_conflicts:
        section.note("Two labels: " + ", ".join(f"{k} is {v}" for k, v in conflict.items()))


def _shortcuts(page: HtmlPage, found: Inspection) -> None:
    """What a network may learn instead of the disease."""
    section = page.section("What tells the class apart from the disease")
    section.text(
        f"Association of source and class (Cramér's V, bias-corrected): {found.association:.2f}; "
        "0 tells nothing, 1 tells all."
    )
    for sentence in found.shortcuts:
        section.note(sentence)
    sources = pd.DataFrame(found.sources).fillna(0).astype(int)
    section.table(
        sources.rename_axis("class").reset_index(), caption="Images of every class by source."
    )
    kinds = sorted({kind for counts in found.annotations.values() for kind in counts})
    if kinds:
        rows = [
            {
                "class": label,
                **{
                    kind: f"{counts.get(kind, 0)} ({counts.get(kind, 0) / found.classes[label]:.0%})"
                    for kind in kinds
                },
            }
            for label, counts in found.annotations.items()
        ]
        section.table(
            pd.DataFrame(rows),
            caption="Images in which an annotation was found; a logo that one class carries more "
            "often gives it away. `hzsynth data preprocess --remove-annotations` takes them off.",
        )
