"""A comparison of classifiers as CSV, Markdown, LaTeX, a figure and a page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from hzsynth.classify.evaluate.comparison import (
    SCORES,
    Comparison,
    difference_table,
    long_table,
    reference_table,
    verdict_of,
)
from hzsynth.classify.evaluate.comparison_published import published_rows
from hzsynth.classify.evaluate.evaluation_page import interval_text, metric_name
from hzsynth.core.files import atomic_write_text
from hzsynth.report.page import HtmlPage, Tone
from hzsynth.report.style import (
    MARKERS,
    PALETTE,
    add_legend,
    label_axes,
    new_figure,
    save_figure,
    use_fonts,
)
from hzsynth.report.tables import table_csv, table_latex, table_markdown

PAGE = "comparison.html"
_APART, _AROUND = 1.08, 3.0
_TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "alike": "neutral"}


def cost_plot(comparison: Comparison) -> Figure:
    """F1 of the target class with its interval against multiply-accumulates (logarithmic)."""
    figure, axes = new_figure(6.0, 4.2)
    costs = [entry.evaluation.efficiency.macs / 1e6 for entry in comparison.entries]
    for index, entry in enumerate(comparison.entries):
        f1 = entry.evaluation.metrics["f1_target"]
        errors = np.array([[f1.value - f1.low], [f1.high - f1.value]]).clip(0)
        # Classifiers of one architecture cost the same: side by side, or one would hide the others.
        alike = [other for other, cost in enumerate(costs) if cost == costs[index]]
        place = alike.index(index) - (len(alike) - 1) / 2
        axes.errorbar(
            [costs[index] * _APART**place],
            [f1.value],
            errors,
            fmt=MARKERS[index % len(MARKERS)],
            color=PALETTE[index % len(PALETTE)],
            ms=7,
            elinewidth=1.5,
            capsize=4,
            label=entry.name,
        )
    axes.set_xscale("log")
    axes.set_xlim(min(costs) / _AROUND, max(costs) * _AROUND)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(-0.02, 1.04)
    first = comparison.entries[0].evaluation
    count = sum(first.confusion[first.labels.index(first.label)])
    title = (
        f"What a better F1 costs\n{count} photographs of {first.label} of {first.n}; 95 % intervals"
    )
    label_axes(axes, title, "multiply-accumulates an image, millions", f"F1 of {first.label}")
    add_legend(axes)
    return use_fonts(figure)


def shown_table(comparison: Comparison, *, published: bool = False) -> pd.DataFrame:
    """The reference table for people: every score with its interval, a star at the highest.

    Args:
        comparison: the classifiers.
        published: append the published rows, marked as not comparable.

    Returns:
        The columns of `reference_table`; scores are texts such as ``0.67 (0.39–0.86) *``.
    """
    table = reference_table(comparison, published=published).astype(dict.fromkeys(SCORES, object))
    for column, name in SCORES.items():
        metrics = [entry.evaluation.metrics[name] for entry in comparison.entries]
        highest = max(metric.value for metric in metrics)
        for row, metric in enumerate(metrics):
            star = " *" if len(metrics) > 1 and metric.value == highest else ""
            text = f"{metric.value:.2f} ({metric.low:.2f}–{metric.high:.2f}){star}"
            table.loc[row, column] = text
    return table


def write_comparison(comparison: Comparison, folder: Path, *, published: bool = False) -> Path:
    """Writes the tables, the figure and the page.

    The files are ``comparison.csv``, ``.md``, ``.tex`` (booktabs), ``.html`` and ``.json``,
    ``comparison_long.csv`` (every metric with its interval), ``differences.csv`` and
    ``f1_macs.png``.

    Args:
        comparison: the classifiers.
        folder: where the files go.
        published: append the published rows, marked as not comparable.

    Returns:
        The page's file.

    Raises:
        InputError: a file cannot be written.
    """
    table, first = reference_table(comparison, published=published), comparison.entries[0]
    caption = (
        f"Classifiers on the same {first.evaluation.n} real photographs; F1, PR, RE and AUROC are "
        f"means of the classes, HZ is {first.evaluation.label}. 95 % intervals; * the highest, which need "
        "not differ from the others."
    )
    shown = shown_table(comparison, published=published)
    texts = {
        "comparison.csv": table_csv(table),
        "comparison.md": table_markdown(shown),
        "comparison.tex": table_latex(shown, caption=caption, label="tab:comparison"),
        "comparison_long.csv": table_csv(long_table(comparison)),
        "differences.csv": table_csv(difference_table(comparison)),
        "comparison.json": json.dumps(comparison.to_json(), indent=2, ensure_ascii=False),
    }
    for name, text in texts.items():
        atomic_write_text(folder / name, text)
    figure = cost_plot(comparison)
    save_figure(figure, folder / "f1_macs.png")
    _page(comparison, figure, caption, published).write(folder / PAGE)
    return folder / PAGE


def _page(comparison: Comparison, figure: Figure, caption: str, published: bool) -> HtmlPage:
    first = comparison.entries[0]
    label = first.evaluation.label
    page = HtmlPage(
        "Classifiers compared",
        f"{first.evaluation.n} real photographs of {first.evaluation.patients} patients",
    )
    sentence, kind = verdict_of(comparison)
    if sentence:
        page.verdict(
            sentence,
            _TONES[kind],
            "Named beforehand is F1 of the target class; the other metrics are under the differences.",
        )
    section = page.section("Reference table", caption)
    section.table(shown_table(comparison))
    section.note(f"Multiply-accumulates: {first.evaluation.efficiency.macs_tool}.")
    if published:
        page.section("Published, not comparable").table(
            published_rows().drop(columns="remark")
        ).note(
            "Back et al., IEEE Access 2021: measured on other photographs, with another count of "
            "multiply-accumulates and on another processor."
        )
    page.section("Cost").figure(
        figure,
        caption="Farther up is better, farther left is cheaper; equal costs stand side by side.",
        alt=f"F1 of {label} with 95 % intervals against multiply-accumulates",
    )
    differences = difference_table(comparison)
    if len(differences):
        named = differences.assign(metric=[metric_name(m, label) for m in differences["metric"]])
        page.section(
            f"Differences from {first.name}",
            "Paired on the same photographs; 95 % intervals join those of the two classifiers, p "
            "exchanges their answers by patient. p (Holm) is corrected over the classifiers, for "
            "each metric.",
        ).table(named)
    for entry in comparison.entries:
        values = {
            metric_name(name, label): interval_text(metric)
            for name, metric in entry.evaluation.metrics.items()
        }
        page.section(f"{entry.model} ({entry.name})").items(values)
    return page
