"""The plots of an evaluation that need more than a report's own: bands, reliability, cost."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from hzsynth.classify.evaluate.calibration import reliability_curve
from hzsynth.report.plots import Curve, learning_curves
from hzsynth.report.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    add_legend,
    label_axes,
    new_figure,
    use_fonts,
)
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.bootstrap import bootstrap_weights
from hzsynth.statistics.classification import auroc, average_precision, weights_by_threshold
from hzsynth.statistics.intervals import proportion_interval

Floats = NDArray[np.float64]
_GRID = np.linspace(0, 1, 201)


def _cumulated(positive: NDArray[np.bool_], score: Floats, weights: Floats) -> tuple[Floats, ...]:
    """Shares of positives and negatives, and counts, at or above every distinct score: B x T."""
    found, wrong = (part.cumsum(axis=1) for part in weights_by_threshold(positive, score, weights))
    return found / found[:, -1:], wrong / wrong[:, -1:], found, wrong


def _roc(positive: NDArray[np.bool_], score: Floats, weights: Floats) -> Floats:
    """Sensitivity on the grid of the false positive rate, B x 201."""
    sensitivity, false_alarms, _, _ = _cumulated(positive, score, weights)
    start = np.zeros(1)
    return np.stack(
        [
            np.interp(_GRID, np.concatenate([start, x]), np.concatenate([start, y]))
            for x, y in zip(false_alarms, sensitivity, strict=True)
        ]
    )


def _precision(positive: NDArray[np.bool_], score: Floats, weights: Floats) -> Floats:
    """Precision at the first threshold that reaches each recall of the grid, B x 201.

    At recall 0 it is that of the first photograph found: without any there is no precision.
    """
    recall, _, found, wrong = _cumulated(positive, score, weights)
    precision = found / np.maximum(found + wrong, np.finfo(float).tiny)
    rows = []
    for reached, values in zip(recall, precision, strict=True):
        place = np.minimum(
            np.searchsorted(reached, np.maximum(_GRID - 1e-12, 1e-12)), len(reached) - 1
        )
        rows.append(values[place])
    return np.stack(rows)


def _band(curves: Floats) -> tuple[Floats, Floats]:
    """Pointwise 2.5 % and 97.5 % quantiles of B x 201."""
    low, high = np.quantile(curves, (0.025, 0.975), axis=0)
    return low, high


def _replicates(answers: Answers, seed: int, bootstrap: int) -> Floats:
    generator = np.random.default_rng(seed)
    truth = answers.is_target.astype(np.int64)
    return np.concatenate(list(bootstrap_weights(truth, answers.patients, generator, bootstrap)))


def roc_band_plot(
    answers: Answers,
    *,
    seed: int = 0,
    bootstrap: int = 500,
    point: tuple[float, float] | None = None,
) -> Figure:
    """Receiver operating characteristic with the pointwise 95 % band of a bootstrap of patients.

    Args:
        answers: of a classifier; the target class and others occur.
        seed: of the bootstrap.
        bootstrap: replicates.
        point: false positive rate and sensitivity of an operating point, marked; or None.

    Returns:
        The figure.
    """
    positive, score = answers.is_target, answers.score
    figure, axes = new_figure(4.4, 4.6)
    low, high = _band(_roc(positive, score, _replicates(answers, seed, bootstrap)))
    axes.fill_between(_GRID, low, high, color=BLUE, alpha=0.16, lw=0, label="95 % band (bootstrap)")
    sensitivity, false_alarms, _, _ = _cumulated(positive, score, np.ones((1, len(answers))))
    area = float(auroc(positive, score)[0])
    axes.plot(
        [0, *false_alarms[0]], [0, *sensitivity[0]], color=BLUE, lw=1.9, label=f"AUROC {area:.3f}"
    )
    axes.plot([0, 1], [0, 1], "--", color=MUTED, lw=1.2, label="chance")
    if point is not None:
        axes.plot(*point, "o", ms=8, mfc="white", mec=ORANGE, mew=2, ls="", label="operating point")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    label_axes(
        axes,
        f"ROC curve\n{_counts(answers)}",
        "false positive rate (1 - specificity)",
        "sensitivity (recall)",
    )
    axes.legend(loc="lower right", fontsize=9, framealpha=0.85, edgecolor="none")
    return use_fonts(figure)


def _counts(answers: Answers) -> str:
    positives = int(answers.is_target.sum())
    return f"{answers.label}: {positives} against {len(answers) - positives} others"


def precision_recall_band_plot(answers: Answers, *, seed: int = 0, bootstrap: int = 500) -> Figure:
    """Precision against recall with the pointwise 95 % band (arguments as for `roc_band_plot`)."""
    positive, score = answers.is_target, answers.score
    figure, axes = new_figure(4.4, 4.6)
    low, high = _band(_precision(positive, score, _replicates(answers, seed, bootstrap)))
    axes.fill_between(_GRID, low, high, color=BLUE, alpha=0.16, lw=0, label="95 % band (bootstrap)")
    average = float(average_precision(positive, score)[0])
    curve = _precision(positive, score, np.ones((1, len(answers))))[0]
    axes.step(
        _GRID, curve, where="pre", color=BLUE, lw=1.9, label=f"average precision {average:.3f}"
    )
    share = float(positive.mean())
    axes.axhline(share, color=MUTED, linestyle="--", lw=1.2, label=f"chance ({share:.2f})")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    label_axes(
        axes,
        f"Precision and recall\n{_counts(answers)}",
        "recall (sensitivity)",
        "precision (PPV)",
    )
    add_legend(axes)
    return use_fonts(figure)


def reliability_plot(probabilities: ArrayLike, truth: ArrayLike, bins: int = 10) -> Figure:
    """How often the likeliest class is right, by how confident the classifier is.

    Args:
        probabilities: N x C, every row sums to 1.
        truth: N class numbers.
        bins: equally wide bins of the confidence.

    Returns:
        The figure: a dot a bin with photographs, its Wilson interval and its count.
    """
    curve = reliability_curve(probabilities, truth, bins)
    ends = np.array(
        [
            proportion_interval(share * count, count)
            for share, count in zip(curve.accuracy, curve.count, strict=True)
        ]
    )
    figure, axes = new_figure(4.4, 5.0)
    axes.plot([0, 1], [0, 1], "--", color=MUTED, lw=1.2, label="perfectly calibrated")
    errors = np.clip([curve.accuracy - ends[:, 0], ends[:, 1] - curve.accuracy], 0, None)
    axes.errorbar(
        curve.confidence,
        curve.accuracy,
        errors,
        fmt="o",
        color=BLUE,
        ms=6,
        elinewidth=1.3,
        capsize=3,
        label="photographs (95 % interval)",
    )
    for x, top, count in zip(curve.confidence, ends[:, 1], curve.count, strict=True):
        axes.annotate(
            str(int(count)),
            (x, top),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=INK,
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.1), aspect="equal")
    error = curve.expected_calibration_error
    title = f"Reliability\nexpected calibration error {error:.3f}; counts above the bars"
    label_axes(axes, title, "confidence in the class chosen", "share that is right")
    add_legend(axes, below=True)
    return use_fonts(figure)


def training_plots(
    reports: Sequence[Mapping[str, object]], best: float | None = None
) -> dict[str, Figure]:
    """The learning curves of a run.

    Args:
        reports: lines of the run's metrics, each with ``step`` (see `RunDir.metrics`).
        best: step of the chosen checkpoint, or None.

    Returns:
        ``loss`` and ``scores`` -> figure; only those of which anything was logged.
    """
    wanted = {
        "loss": {"loss": "training", "validation_loss": "validation"},
        "scores": {
            "validation_accuracy": "accuracy",
            "validation_macro_f1": "macro F1",
            "validation_f1_target": "F1 of the target class",
        },
    }
    titles = {"loss": "Loss", "scores": "Validation"}
    units = {"loss": "cross-entropy or distillation loss", "scores": "score"}
    figures = {}
    for name, keys in wanted.items():
        curves = []
        for key, legend in keys.items():
            known = [line for line in reports if isinstance(line.get(key), (int, float))]
            if known:
                steps = [float(str(line["step"])) for line in known]
                curves.append(Curve(legend, steps, [float(str(line[key])) for line in known]))
        if curves:
            figures[name] = learning_curves(
                curves, title=titles[name], y_label=units[name], best=best
            )
    return figures
