"""The report of an ablation: tables (CSV, LaTeX), the ratio plot and one HTML page."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hzsynth.ablate.analysis import METRIC, Analysis
from hzsynth.ablate.design import AUGMENTED, AblationArm, power_table
from hzsynth.ablate.runner import AblationResult
from hzsynth.core.files import atomic_write_text
from hzsynth.core.run import RunDir
from hzsynth.report.page import HtmlPage, Section, Tone
from hzsynth.report.plots import RatioSeries, precision_recall_plot, ratio_plot
from hzsynth.report.style import save_figure
from hzsynth.report.tables import table_csv, table_latex
from hzsynth.statistics.power import ASSUMED, spreads_of

_SHOWN = {
    METRIC: "average precision",
    "auroc_target": "AUROC",
    "f1_target": "F1 of the target class",
    "recall_target": "recall",
    "precision_target": "precision",
}
_TONES: dict[str, Tone] = {"helps": "good", "hurts": "bad", "inconclusive": "neutral"}


def arm_title(arm: AblationArm, multiplier: int) -> str:
    """An arm's name for people, such as ``real ×10 augmented``."""
    if arm.name == AUGMENTED:
        return f"real ×{multiplier} augmented (ratio 0)"
    if arm.kind == "real":
        return "real ×1"
    return arm.title


def p_text(p_value: float | None) -> str:
    """A p-value for people: ``< 0.001`` below that, a dash for none."""
    if p_value is None:
        return "–"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _p_sentence(p_value: float) -> str:
    text = p_text(p_value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def arms_table(result: AblationResult) -> pd.DataFrame:
    """One row an arm: mean ± standard deviation over the runs of each metric on the test images."""
    rows = []
    for arm in result.analysis.arms:
        cells = result.of_arm(arm)
        row: dict[str, object] = {"arm": arm_title(arm, result.config.multiplier)}
        metrics = [cell.test_metrics() for cell in cells]
        for metric, title in _SHOWN.items():
            row[title] = _mean_text([values[metric] for values in metrics])
        row["F1, prior from validation"] = _mean_text(
            [cell.f1_with_corrected_prior() for cell in cells]
        )
        made = cells[0].target
        rows.append(
            {
                **row,
                "runs": len(cells),
                "real": made.real,
                "synthetic": made.synthetic,
                "augmented": made.augmented_real + made.augmented_synthetic,
            }
        )
    return pd.DataFrame(rows)


def _mean_text(values: Sequence[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def contrasts_table(result: AblationResult) -> pd.DataFrame:
    """One row an arm: its difference to ratio 0 in average precision, with interval and p."""
    analysis = result.analysis
    rows = []
    for arm in analysis.arms:
        if arm.name not in analysis.contrasts:
            continue
        contrast = analysis.contrasts[arm.name]
        difference = contrast.difference
        rows.append(
            {
                "arm": arm_title(arm, result.config.multiplier),
                "difference": f"{difference.estimate:+.3f}",
                "low": f"{difference.low:+.3f}",
                "high": f"{difference.high:+.3f}",
                "p": p_text(difference.p_value),
                "p (Holm)": p_text(analysis.adjusted.get(arm.name)),
                "s.d. from patients": contrast.patient_variance**0.5,
                "s.d. from runs": contrast.run_variance**0.5,
                "validation": "chosen" if arm == analysis.chosen else "",
            }
        )
    return pd.DataFrame(rows)


def _runs_of(result: AblationResult, arm: AblationArm) -> list[float]:
    return [cell.test_metrics()[METRIC] for cell in result.of_arm(arm)]


def ablation_plot(result: AblationResult) -> Figure:
    """Average precision on the test images against the ratio.

    Bars are the intervals of the difference to ratio 0, drawn around each mean: an arm differs
    from pure augmentation when its bar leaves the line of ratio 0.
    """
    analysis = result.analysis
    augmented = next(arm for arm in analysis.arms if arm.name == AUGMENTED)
    baseline = _runs_of(result, augmented)
    base = sum(baseline) / len(baseline)
    series = []
    for generator in dict.fromkeys(arm.generator for arm in analysis.arms if arm.generator):
        own = [arm for arm in analysis.arms if arm.generator == generator]
        reach = [(base, base)]
        for arm in own:
            d = analysis.contrasts[arm.name].difference
            reach.append((max(0.0, base + d.low), min(1.0, base + d.high)))
        values = [baseline, *(_runs_of(result, arm) for arm in own)]
        series.append(RatioSeries(generator, (0, *(arm.ratio for arm in own)), values, reach))
    if not series:
        series = [RatioSeries("real photographs", (0,), [baseline])]
    controls = {
        arm_title(arm, result.config.multiplier): float(np.mean(_runs_of(result, arm)))
        for arm in (augmented, *analysis.arms)
        if not arm.generator
    }
    chosen = (analysis.chosen.generator, analysis.chosen.ratio) if analysis.chosen else None
    return ratio_plot(
        series, controls, metric="average precision (test)", title=_title(result), chosen=chosen
    )


def _title(result: AblationResult) -> str:
    test = result.test
    return (
        "Average precision against the ratio\n"
        f"n = {int(test.is_target.sum())} of {len(test)} test images, "
        f"{result.config.seeds} runs; bars: {result.config.confidence:.0%} intervals"
    )


def _mean_curves(result: AblationResult) -> Figure:
    """Precision and recall of ratio 0 and of the chosen arm, by the runs' mean probability."""
    analysis = result.analysis
    curves = {}
    for arm in analysis.arms:
        if arm.name == AUGMENTED or arm == analysis.chosen:
            runs = [cell.answers.test.score for cell in result.of_arm(arm)]
            name = "ratio 0" if arm.name == AUGMENTED else arm.title
            curves[name] = np.mean(runs, axis=0)
    title = f"Precision and recall\nmean of {result.config.seeds} runs, n = {len(result.test)}"
    return precision_recall_plot(result.test.is_target, curves, title=title)


def _files(folder: Path, name: str, table: pd.DataFrame, caption: str) -> None:
    atomic_write_text(folder / f"{name}.csv", table_csv(table))
    atomic_write_text(
        folder / f"{name}.tex", table_latex(table, caption=caption, label=f"tab:{name}")
    )


def _second_look_text(analysis: Analysis) -> str:
    look = analysis.second_look
    if look is None:
        return ""
    d, (first, second) = look.difference, look.areas
    between = "" if d.low is None or d.high is None else f"{d.low:+.3f} to {d.high:+.3f}, "
    return (
        f"AUROC of the runs' mean probability: {first:.3f} with the arms chosen and {second:.3f} "
        f"with ratio 0, a difference of {d.value:+.3f} ({between}{d.test}, {_p_sentence(d.p)}). "
        f"Of the test positives, {look.recall_won} are found by most runs of the arms chosen "
        f"only, {look.recall_lost} by most runs of ratio 0 only (exact McNemar, "
        f"{_p_sentence(look.recall_p)}). "
        "These tests take the trained classifiers as they are: retraining is not in their doubt."
    )


def add_ablation(page: HtmlPage, result: AblationResult) -> None:
    """Sets a page's verdict and adds the ablation's plot, tables and remarks to it."""
    verdict = result.analysis.verdict
    page.verdict(verdict.sentence, _TONES[verdict.answer], verdict.detail)
    _add_arms(page, result)
    design = page.section("What this test set can find")
    _add_power(design, result)
    design.note(
        "All arms share one split and one set of images from each generator: the intervals speak "
        "of new patients and of retraining the classifier, not of other splits and not of "
        "retraining the generators."
    )


def _add_power(section: Section, result: AblationResult) -> None:
    test, contrast = result.test, result.analysis.decisive
    patients = test.count_patients(test.is_target)
    seen = spreads_of(contrast) if contrast is not None else None
    source = "those of the contrast above" if seen else "assumed, as too little was compared"
    spreads = seen or ASSUMED
    section.table(
        power_table(patients, result.config.seeds, result.config.confidence, spreads),
        caption=f"Power of the contrast that decides to find a gain in average precision with "
        f"{result.config.seeds} runs. Standard deviations of the difference ({source}): "
        f"{spreads.patient:.2f} a patient, {spreads.run:.2f} a run.",
    )


def _add_arms(page: HtmlPage, result: AblationResult) -> None:
    config, n = result.config, len(result.test)
    positives = int(result.test.is_target.sum())
    section = page.section(
        "Which ratio helps?",
        f"Every arm but real ×1 fills the class '{config.label}' to {config.multiplier} times its "
        "photographs; all train the same classifier for the same number of steps. What differs is "
        "how much of the filling is synthetic and how much is classical augmentation.",
    )
    section.figure(
        ablation_plot(result),
        caption=f"Mean (large), every run (small) and {config.confidence:.0%} interval of the "
        f"difference to ratio 0, drawn around the mean; {positives} test positives of "
        f"{n} images, {config.seeds} runs. Lines: arms without synthetic images.",
        alt="Average precision on test images against the number of synthetic images per real "
        "one, for every generator; the numbers are in the table of arms below.",
    )
    arms_caption = (
        f"Test images only; mean ± standard deviation of {config.seeds} runs; "
        f"n = {positives} of {n}. F1, recall and precision are of the class chosen; arms that make the "
        "class more frequent choose it more often. The last F1 is after a shift of its log-odds that "
        "validation chose."
    )
    section.table(arms_table(result), caption=arms_caption)
    _add_contrasts(section, result)
    if result.analysis.chosen is not None:
        section.figure(
            _mean_curves(result),
            caption=f"Chosen arm and ratio 0, mean probability of {config.seeds} runs; "
            f"{positives} test positives of {n} images.",
            alt="Precision against recall of the chosen arm and of ratio 0.",
        )


def _add_contrasts(section: Section, result: AblationResult) -> None:
    analysis, config = result.analysis, result.config
    table = contrasts_table(result)
    if table.empty:
        return
    section.table(
        table,
        caption="Difference in average precision to ratio 0. Intervals: paired bootstrap over "
        f"patients, then runs ({config.replicates} replicates).",
    )
    text = _second_look_text(analysis)
    if text:
        section.text(text)
    if analysis.equal_enough is not None:
        shown = "is shown" if analysis.equal_enough.shown else "is not shown"
        section.text(
            f"That the arms chosen are at most {analysis.equal_enough.margin:g} worse than ratio 0 "
            f"{shown} (one-sided 95% bound {analysis.equal_enough.bound:+.3f})."
        )


def write_ablation_report(run: RunDir, result: AblationResult, folder: Path | None = None) -> Path:
    """Writes tables, figures and the page.

    Args:
        run: the ablation's run.
        result: what `run_ablation` or `load_ablation` gave.
        folder: where the files go; None for below the run.

    Returns:
        The page, ``report.html``; beside it lie ``tables/`` (CSV, LaTeX) and ``figures/`` (PNG).

    Raises:
        InputError: the files cannot be written.
    """
    config, folder = result.config, folder or run.path
    tables = folder / "tables"
    _files(tables, "arms", arms_table(result), f"Arms of the ablation on {config.label}.")
    contrasts = contrasts_table(result)
    if not contrasts.empty:
        _files(tables, "contrasts", contrasts, "Differences to augmentation only.")
    save_figure(ablation_plot(result), folder / "figures" / "ratios.png", dpi=200)
    page = HtmlPage(
        f"Do synthetic images help? {config.label}",
        f"Ablation {run.id}: {len(result.cells)} trained classifiers, seed {config.seed}",
    )
    add_ablation(page, result)
    names = {f"test_{metric}": title for metric, title in _SHOWN.items()}
    cells = result.table()[["cell", "generator", "ratio", "seed", *names]].rename(columns=names)
    cells["ratio"] = [f"{float(ratio):g}" for ratio in cells["ratio"]]
    page.section("Every run").table(cells, caption="Test images; also in cells.csv.")
    page.section("Settings").code(config.to_toml())
    page.write(folder / "report.html")
    return folder / "report.html"
