"""Robustness as tables, pictures and one page."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hzsynth.classify.evaluate.evaluation_page import interval_text
from hzsynth.classify.evaluate.imagenet_c.kinds import GROUPS, SEVERITIES
from hzsynth.classify.evaluate.robustness import AgainstReference, Robustness, RobustnessResult
from hzsynth.core.files import atomic_write_text
from hzsynth.report.page import HtmlPage
from hzsynth.report.style import (
    INK,
    MARKERS,
    MUTED,
    PALETTE,
    label_axes,
    new_figure,
    save_figure,
    use_fonts,
)
from hzsynth.report.tables import table_csv
from hzsynth.statistics.metric_intervals import Metric

PAGE = "robustness.html"
_DARK = 0.55


def _readable(kind: str) -> str:
    return kind.replace("_", " ").replace("jpeg", "JPEG")


def errors_plot(run: Robustness, name: str) -> Figure:
    """Errors by kind (rows) and severity (columns), as shades and numbers."""
    kinds = [kind for group in GROUPS.values() for kind in group]
    values = np.array([run.errors[kind] for kind in kinds])
    figure, axes = new_figure(5.2, 6.6)
    axes.imshow(values, cmap="Oranges", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value > _DARK else INK
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9, color=colour)
    axes.set_xticks(range(len(SEVERITIES)), [str(s) for s in SEVERITIES])
    axes.set_yticks(range(len(kinds)), [_readable(kind) for kind in kinds])
    axes.tick_params(length=0)
    edge = -0.5
    for group in list(GROUPS.values())[:-1]:
        edge += len(group)
        axes.axhline(edge, color="white", lw=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
    title = f"Errors of {name}\nclean {run.clean_error:.2f}, mean {run.mean_error.value:.2f}, n = {run.n}"
    label_axes(axes, title, "severity", "")
    axes.grid(visible=False)
    return use_fonts(figure)


def ce_plot(against: Sequence[AgainstReference], names: Sequence[str], reference: str) -> Figure:
    """Corruption errors of every classifier against the reference, percent."""
    kinds = [kind for group in GROUPS.values() for kind in group]
    figure, axes = new_figure(6.4, 5.4)
    for number, (row, name) in enumerate(zip(against, names, strict=True)):
        known = [
            (place, value)
            for place, kind in enumerate(kinds)
            if (value := row.corruption_errors[kind]) is not None
        ]
        mean = f", mCE {row.mce.value:.0f} %" if row.mce else ""
        axes.plot(
            [value for _, value in known],
            [place for place, _ in known],
            MARKERS[number % len(MARKERS)],
            color=PALETTE[number % len(PALETTE)],
            ms=6,
            alpha=0.9,
            label=f"{name}{mean}",
        )
    axes.axvline(100, color=MUTED, ls="--", lw=1.2, label=f"{reference} = 100 %")
    axes.set_yticks(range(len(kinds)), [_readable(kind) for kind in kinds])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    label_axes(axes, "Corruption error\nleft of the line: fewer errors", "CE, percent", "")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.13), fontsize=9, frameon=False)
    return use_fonts(figure)


def summary_table(result: RobustnessResult, names: Sequence[str]) -> pd.DataFrame:
    """One row a classifier: clean error, mean error, groups, F1."""
    return pd.DataFrame(
        [
            {
                "run": name,
                "clean error": run.clean_error,
                "mean error": interval_text(run.mean_error),
                **run.group_errors,
                f"F1 of {result.label}": run.mean_f1_target,
            }
            for run, name in zip(result.runs, names, strict=True)
        ]
    )


def reference_table(result: RobustnessResult, names: Sequence[str]) -> pd.DataFrame:
    """One row a classifier but the reference, the first: mCE with and without noise."""
    return pd.DataFrame(
        [
            {
                "run": name,
                "mCE": _percent(row.mce),
                "mCE without noise": _percent(row.mce_without_noise),
            }
            for row, name in zip(result.against, names[1:], strict=True)
        ]
    )


def _percent(metric: Metric | None) -> str:
    if metric is None:
        return "not defined"
    return f"{metric.value:.1f} % ({metric.low:.1f} to {metric.high:.1f})"


def short_robustness(result: RobustnessResult) -> dict[str, str]:
    """What a person reads in a terminal, of the last run."""
    run = result.runs[-1]
    shown = {
        "photographs": str(run.n),
        "error, clean": f"{run.clean_error:.3f}",
        "error, mean of 75 corruptions": interval_text(run.mean_error),
        **{f"error, {group}": f"{value:.3f}" for group, value in run.group_errors.items()},
        f"F1 of {result.label}, mean of 75": f"{run.mean_f1_target:.3f}",
    }
    for against in result.against:
        shown[f"mCE against {against.reference}"] = _percent(against.mce)
        shown["mCE without noise"] = _percent(against.mce_without_noise)
    return shown


def long_table(result: RobustnessResult, names: Sequence[str]) -> pd.DataFrame:
    """One row a classifier, kind and severity: error and F1 of the target class."""
    group_of = {kind: group for group, kinds in GROUPS.items() for kind in kinds}
    return pd.DataFrame(
        [
            {
                "run": name,
                "group": group_of[kind],
                "kind": kind,
                "severity": severity,
                "error": error,
                "f1_target": f1,
            }
            for run, name in zip(result.runs, names, strict=True)
            for kind in run.errors
            for severity, error, f1 in zip(
                SEVERITIES, run.errors[kind], run.f1_target[kind], strict=True
            )
        ]
    )


def write_robustness(result: RobustnessResult, names: Sequence[str], folder: Path) -> Path:
    """Writes ``robustness.json``, ``errors.csv``, the plots and ``robustness.html``.

    Args:
        result: of `robustness.measure_robustness`.
        names: what the runs are called.
        folder: where the files go.

    Returns:
        The page's file.

    Raises:
        InputError: a file cannot be written.
    """
    text = json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(folder / "robustness.json", text)
    atomic_write_text(folder / "errors.csv", table_csv(long_table(result, names)))
    n, split = result.runs[0].n, result.split
    page = HtmlPage("Robustness", f"{n} real photographs" + (f", split {split}" if split else ""))
    page.section(
        "Under 75 corruptions",
        "Share of wrong answers, of all classes; 95 % intervals from a bootstrap of patients. F1 is "
        "the mean over the 75 corruptions.",
    ).table(summary_table(result, names))
    if result.against:
        _against_reference(page, result, names, folder)
    for number, (run, name) in enumerate(zip(result.runs, names, strict=True), start=1):
        figure = errors_plot(run, name)
        save_figure(figure, folder / f"errors_{number}.png")
        page.section(f"Errors of {name}").figure(
            figure, caption="Share of wrong answers.", alt=f"errors of {name}", narrow=True
        )
        if run.tuning:
            page.section(f"Kinds for tuning, {name}", "They never count.").table(
                pd.DataFrame(
                    [
                        {"kind": k, **dict(zip(map(str, SEVERITIES), v, strict=True))}
                        for k, v in run.tuning.items()
                    ]
                )
            )
    page.section("Conditions").items(
        {
            "photographs": result.images_digest,
            "corruptions": f"at 224 px, seed {result.seed}; frost is drawn, not photographed",
            "bootstrap": f"{result.bootstrap} replicates",
        }
    )
    page.write(folder / PAGE)
    return folder / PAGE


def _against_reference(
    page: HtmlPage, result: RobustnessResult, names: Sequence[str], folder: Path
) -> None:
    figure = ce_plot(result.against, names[1:], names[0])
    save_figure(figure, folder / "corruption_errors.png")
    section = page.section(
        f"Against {names[0]}",
        "CE: errors of a kind, summed over the severities, as a share of the reference's. mCE: "
        "their mean. Neither is comparable with figures from other photographs.",
    )
    section.table(reference_table(result, names))
    section.figure(figure, caption=f"n = {result.runs[0].n}.", alt="corruption errors by kind")
    section.note(
        "A classifier that was trained on noise has not held noise out: compare mCE without "
        "noise as well."
    )
