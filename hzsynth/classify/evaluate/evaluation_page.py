"""An evaluation as pictures and one self-contained page."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from hzsynth.classify.evaluate.evaluation import Evaluation
from hzsynth.classify.evaluate.evaluation_plots import (
    precision_recall_band_plot,
    reliability_plot,
    roc_band_plot,
    training_plots,
)
from hzsynth.classify.evaluate.operating_point import OperatingPoint
from hzsynth.classify.evaluate.subgroups import subgroup_table
from hzsynth.core.run import RunDir
from hzsynth.report.page import HtmlPage, Section
from hzsynth.report.plots import confusion_matrix_plot
from hzsynth.report.style import save_figure
from hzsynth.report.tables import format_value
from hzsynth.statistics.metric_intervals import NOT_IDENTIFIABLE, Metric

PAGE = "evaluation.html"
TONES = {"passes": "good", "falls short": "bad", "passes, not proven": "neutral"}

METRIC_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "F1, mean of the classes",
    "macro_precision": "precision, mean of the classes",
    "macro_recall": "recall, mean of the classes",
    "kappa": "Cohen's kappa",
    "mcc": "Matthews correlation (MCC)",
    "f1_target": "F1 of {label}",
    "precision_target": "precision (PPV) of {label}",
    "recall_target": "recall (sensitivity) of {label}",
    "specificity_target": "specificity of {label}",
    "npv_target": "negative predictive value (NPV) of {label}",
    "accuracy_target": "accuracy of {label} against the rest",
    "type_1_error": "type I error (false positive rate)",
    "type_2_error": "type II error (false negative rate)",
    "auroc": "AUROC, mean of the classes",
    "auroc_target": "AUROC of {label}",
    "average_precision_target": "average precision (AUPRC) of {label}",
    "macs_millions": "multiply-accumulates, millions",
    "latency_ms": "latency, milliseconds an image",
    "parameters_millions": "parameters, millions",
}


def metric_name(name: str, label: str) -> str:
    """What a reader calls a metric."""
    return METRIC_NAMES.get(name, name).format(label=label)


def interval_text(metric: Metric) -> str:
    """``value (low to high)``."""
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"


def short_metrics(evaluation: Evaluation) -> dict[str, str]:
    """What a person reads in a terminal: name -> figure with interval."""
    label, point = evaluation.label, evaluation.point
    shown = {
        metric_name(name, label): interval_text(metric)
        for name, metric in evaluation.metrics.items()
    }
    if point is not None:
        shown[f"threshold for sensitivity {point.wanted:g}"] = f"{point.threshold:.3f}"
        for name in ("recall_target", "specificity_target"):
            shown[f"at that, {metric_name(name, label)}"] = interval_text(point.metrics[name])
    for part in evaluation.parts:
        recall = part.metrics.get("recall_target")
        found = part.reason if recall is None else f"recall {interval_text(recall)}"
        shown[f"{part.by} {part.name}, n = {part.positives} + {part.others}"] = found
    error = evaluation.calibration
    shown["expected calibration error"] = (
        f"{interval_text(error.ece)}, {error.if_calibrated:.3f} if calibrated"
    )
    if evaluation.corrected is not None:
        corrected = interval_text(evaluation.corrected.metrics["f1_target"])
        shown[f"with {label} as frequent as in val, {metric_name('f1_target', label)}"] = corrected
    return {f"{evaluation.split or 'set'}, photographs": str(evaluation.n), **shown}


def metrics_table(evaluation: Evaluation) -> pd.DataFrame:
    """One row a metric: name, value, interval, how the interval was made."""
    rows = [
        {
            "metric": metric_name(name, evaluation.label),
            "value": metric.value,
            "95 % interval": NOT_IDENTIFIABLE
            if metric.method.startswith(NOT_IDENTIFIABLE)
            else f"{metric.low:.3f} to {metric.high:.3f}",
            "interval from": metric.method,
        }
        for name, metric in evaluation.metrics.items()
    ]
    return pd.DataFrame(rows)


def class_table(evaluation: Evaluation) -> pd.DataFrame:
    """One row a class that occurs: photographs, F1, precision, recall with intervals."""
    counts = dict(zip(evaluation.labels, map(sum, evaluation.confusion), strict=True))
    rows = [
        {"class": label, "photographs": counts[label]}
        | {name: interval_text(metric) for name, metric in row.items()}
        for label, row in evaluation.per_class.items()
    ]
    return pd.DataFrame(rows)


def levels_table(evaluation: Evaluation) -> pd.DataFrame:
    """One row a recommended level: what was reached and whether it passes."""
    rows = [
        {
            "metric": metric_name(row.metric, evaluation.label),
            "recommended": row.level,
            "reached": format_value(row.value, 1 if row.low is None else 3),
            "interval begins at": row.low,
            "verdict": row.passes,
        }
        for row in evaluation.levels
    ]
    return pd.DataFrame(rows)


def evaluation_figures(evaluation: Evaluation, run: RunDir) -> dict[str, Figure]:
    """The plots of an evaluation.

    Args:
        evaluation: the evaluation; its operating point is marked on the ROC curve.
        run: of the classifier; its learning curves are drawn.

    Returns:
        ``confusion``, ``roc``, ``precision_recall``, ``reliability``, ``loss``, ``scores`` ->
        figure; the last two only where the run logged them.
    """
    answers, point = evaluation.answers, evaluation.point
    marked = None
    if point is not None:
        marked = point.metrics["type_1_error"].value, point.metrics["recall_target"].value
    best = run.result.get("best_step") if run.finished else None
    return {
        "confusion": confusion_matrix_plot(
            evaluation.confusion,
            evaluation.labels,
            title="Confusion matrix\ncount and share of the true class",
        ),
        "roc": roc_band_plot(answers, seed=evaluation.seed, point=marked),
        "precision_recall": precision_recall_band_plot(answers, seed=evaluation.seed),
        "reliability": reliability_plot(answers.probabilities, answers.truth),
        **training_plots(run.metrics(), best),
    }


def write_evaluation(evaluation: Evaluation, run: RunDir, folder: Path) -> Path:
    """Writes the evaluation's files, its plots as PNG and the page ``evaluation.html``.

    Args:
        evaluation: the evaluation.
        run: of the classifier.
        folder: where the files go.

    Returns:
        The page's file.

    Raises:
        InputError: a file cannot be written.
    """
    evaluation.save(folder)
    figures = evaluation_figures(evaluation, run)
    for name, figure in figures.items():
        save_figure(figure, folder / f"{name}.png")
    page = _page(evaluation, figures)
    page.write(folder / PAGE)
    return folder / PAGE


def _page(evaluation: Evaluation, figures: Mapping[str, Figure]) -> HtmlPage:
    page = HtmlPage(
        f"Evaluation of {evaluation.run}",
        f"{evaluation.n} real photographs of {evaluation.patients} patients"
        + (f", split {evaluation.split}" if evaluation.split else ""),
    )
    _verdict(page, evaluation)
    page.section("Recommended levels").table(levels_table(evaluation), tones=TONES)
    page.section("Metrics").table(metrics_table(evaluation))
    page.section("Classes").table(class_table(evaluation))
    if evaluation.corrected is not None:
        _corrected(page.section("The target class as frequent as it is"), evaluation)
    _calibration(page.section("Calibration"), evaluation)
    _curves(page.section("Curves"), figures, f"n = {evaluation.n}")
    if evaluation.point is not None:
        _operating_point(page.section("Operating point"), evaluation.point, evaluation.label)
    for by in dict.fromkeys(part.by for part in evaluation.parts):
        section = page.section(f"By {by}", "Intervals are 95 %; small parts overlap widely.")
        section.table(subgroup_table([part for part in evaluation.parts if part.by == by]))
    learning = [name for name in ("loss", "scores") if name in figures]
    if learning:
        section = page.section("Learning curves")
        for name in learning:
            caption = "Measured while training; validation chose the checkpoint."
            section.figure(figures[name], caption=caption, alt=f"{name} over steps", narrow=True)
    cost = evaluation.efficiency
    page.section("Conditions").items(
        {
            "photographs": evaluation.images_digest,
            "bootstrap": f"{evaluation.bootstrap} replicates, seed {evaluation.seed}",
            "input": f"{cost.size} px",
            "parameters": f"{cost.parameters / 1e6:.2f} M",
            "multiply-accumulates": f"{cost.macs / 1e6:.1f} M ({cost.macs_tool})",
            "latency": f"{cost.latency_ms:.1f} ms, {cost.threads} threads, {cost.processor}",
        }
    )
    return page


def _curves(section: Section, figures: Mapping[str, Figure], n: str) -> None:
    for name, caption in {
        "confusion": f"Rows are the true classes; {n}.",
        "roc": f"Pointwise 95 % band, bootstrap of patients by class; {n}.",
        "precision_recall": f"Pointwise 95 % band, bootstrap of patients by class; {n}.",
        "reliability": f"Ten bins of the confidence with Wilson intervals; {n}.",
    }.items():
        section.figure(figures[name], caption=caption, alt=f"{name}: {caption}", narrow=True)


def _verdict(page: HtmlPage, evaluation: Evaluation) -> None:
    # Speed and size have no interval; three of ten levels reached would hide that all of quality fail.
    verdicts = [row.passes for row in evaluation.levels if row.low is not None]
    costs = [row.passes for row in evaluation.levels if row.low is None]
    short, proven = verdicts.count("falls short"), verdicts.count("passes")
    sentence = (
        f"{len(verdicts) - short} of {len(verdicts)} recommended levels of quality are reached, "
        f"{proven} of them beyond doubt; of speed and size {costs.count('passes')} of {len(costs)}."
    )
    f1 = evaluation.metrics["f1_target"]
    page.verdict(
        sentence,
        "bad"
        if short or "falls short" in costs
        else "good"
        if proven == len(verdicts)
        else "neutral",
        f"F1 of {evaluation.label}: {interval_text(f1)}.",
    )


def _corrected(section: Section, evaluation: Evaluation) -> None:
    corrected, label = evaluation.corrected, evaluation.label
    assert corrected is not None
    section.text(
        f"A class that was filled is too frequent in the network's eyes. Its log-odds are moved by "
        f"{corrected.shift:+.2f}, under which {corrected.photographs} validation photographs "
        f"({corrected.positives} of {label}) are likeliest; rankings stay as they are."
    )
    rows = [
        {
            "metric": metric_name(name, label),
            "as trained": interval_text(evaluation.metrics[name]),
            "moved": interval_text(metric),
        }
        for name, metric in corrected.metrics.items()
    ]
    section.table(pd.DataFrame(rows))


def _calibration(section: Section, evaluation: Evaluation) -> None:
    error = evaluation.calibration
    section.text(
        f"Expected calibration error {interval_text(error.ece)}; a perfectly calibrated classifier "
        f"would show {error.if_calibrated:.3f} on so few photographs."
    )


def _operating_point(section: Section, point: OperatingPoint, label: str) -> None:
    section.text(
        f"Wanted: a sensitivity of {point.wanted:g}. On validation the threshold "
        f"{point.threshold:.3f} finds {interval_text(point.validation_sensitivity)}. It was then "
        "applied, unchanged, to the test photographs:"
    )
    rows = [
        {"metric": metric_name(name, label), "value": m.value, "low": m.low, "high": m.high}
        for name, m in point.metrics.items()
    ]
    section.table(pd.DataFrame(rows))
    for remark in point.remarks:
        section.note(remark)
