"""The plots of a report: each takes numbers and gives a matplotlib Figure in one style.

Nothing is computed here beyond the curves' own definitions (ROC and precision-recall come
from scikit-learn); intervals are drawn as they are given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from hzsynth.core.errors import InputError
from hzsynth.report.fonts import printable
from hzsynth.report.style import (
    BLUE,
    GREEN,
    INK,
    MARKERS,
    MUTED,
    ORANGE,
    PALETTE,
    SKY,
    add_legend,
    label_axes,
    new_figure,
    use_fonts,
)


@dataclass(frozen=True)
class Curve:
    """A line of a plot.

    Attributes:
        name: what the legend says.
        x: positions.
        y: values, as many as positions; NaN leaves a gap.
        spread: half width of the band around the line, or None.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float] | None = None


@dataclass(frozen=True)
class RatioSeries:
    """One generator's results over the ratios.

    Attributes:
        name: the generator.
        ratios: synthetic images per real image, increasing.
        values: for each ratio, the result of every seed.
        intervals: for each ratio, low and high end of an interval of the mean, or empty.
    """

    name: str
    ratios: Sequence[float]
    values: Sequence[Sequence[float]]
    intervals: Sequence[tuple[float, float]] = field(default=())


def learning_curves(
    curves: Sequence[Curve],
    *,
    title: str = "Learning curves",
    x_label: str = "step",
    y_label: str = "loss",
    best: float | None = None,
) -> Figure:
    """Lines over the training steps.

    Args:
        curves: one or more lines; more than six reuse colours with another dash.
        title: first line bold, further lines smaller.
        x_label: the horizontal axis.
        y_label: the vertical axis.
        best: position of the chosen checkpoint, marked by a vertical line, or None.

    Returns:
        The figure.

    Raises:
        InputError: there is no curve.
    """
    if not curves:
        raise InputError("learning curves need one curve at least")
    figure, axes = new_figure()
    for index, curve in enumerate(curves):
        colour = PALETTE[index % len(PALETTE)]
        dash = "-" if index < len(PALETTE) else "--"
        x, y = np.asarray(curve.x, float), np.asarray(curve.y, float)
        marker = "o" if len(x) <= 25 else None
        axes.plot(x, y, dash, color=colour, linewidth=1.8, marker=marker, ms=3.5, label=curve.name)
        if curve.spread is not None:
            half = np.asarray(curve.spread, float)
            axes.fill_between(x, y - half, y + half, color=colour, alpha=0.18, linewidth=0)
    if best is not None:
        axes.axvline(best, color=MUTED, linestyle=":", linewidth=1.4, label="chosen checkpoint")
    label_axes(axes, title, x_label, y_label)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    # A legend of many lines would hide some of them.
    add_legend(axes, columns=3 if len(curves) > 3 else 1, below=len(curves) > 3)
    return use_fonts(figure)


def confusion_matrix_plot(
    counts: ArrayLike, labels: Sequence[str], *, title: str = "Confusion matrix"
) -> Figure:
    """Counts of true against predicted class, shaded by the share of the true class.

    Args:
        counts: C x C whole numbers, rows are the true classes.
        labels: the C class names.
        title: first line bold, further lines smaller.

    Returns:
        The figure.

    Raises:
        InputError: the matrix does not fit the labels.
    """
    matrix = np.asarray(counts)
    if matrix.shape != (len(labels), len(labels)):
        raise InputError(
            f"a confusion matrix of {len(labels)} classes is {len(labels)} x {len(labels)}, "
            f"not {matrix.shape}"
        )
    side = max(3.4, 0.56 * len(labels) + 2.0)
    figure, axes = new_figure(side + 0.6, side)
    totals = matrix.sum(axis=1, keepdims=True)
    share = matrix / np.maximum(totals, 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.15, aspect="equal")
    for row in range(len(labels)):
        for column in range(len(labels)):
            axes.text(
                column,
                row,
                f"{int(matrix[row, column])}\n{share[row, column]:.0%}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if share[row, column] > 0.6 else INK,
            )
    names = [printable(label) for label in labels]
    axes.set_xticks(range(len(labels)), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(len(labels)), [f"{n} ({int(t)})" for n, t in zip(names, totals[:, 0], strict=True)]
    )
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
    label_axes(axes, title, "predicted", "true (number of images)")
    return use_fonts(figure)


def _position(ratios: Sequence[float], ratio: float) -> int:
    return list(ratios).index(ratio)


def ratio_plot(
    series: Sequence[RatioSeries],
    controls: Mapping[str, float] | None = None,
    *,
    metric: str,
    title: str,
    chosen: tuple[str, float] | None = None,
) -> Figure:
    """A metric against the ratio of synthetic to real images.

    Every seed is a small dot, the mean a large one with its interval; controls (arms without
    synthetic images) are horizontal lines. Ratios stand at equal distances.

    Args:
        series: the generators.
        controls: name -> mean of an arm without a ratio.
        metric: the vertical axis.
        title: first line bold, further lines smaller; it should name n and seeds.
        chosen: generator and ratio that validation chose, ringed; or None.

    Returns:
        The figure.

    Raises:
        InputError: there is no series, or one with unequal lengths.
    """
    if not series:
        raise InputError("a ratio plot needs one series at least")
    grid = sorted({ratio for line in series for ratio in line.ratios})
    figure, axes = new_figure(6.2, 4.4)
    ring: tuple[float, float] | None = None
    for index, line in enumerate(series):
        if len(line.values) != len(line.ratios) or len(line.intervals) not in (0, len(line.ratios)):
            raise InputError(f"series '{line.name}' has not one value list an interval a ratio")
        colour, marker = PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)]
        shift = 0.14 * (index - (len(series) - 1) / 2)
        x = np.array([_position(grid, ratio) for ratio in line.ratios]) + shift
        means = np.array([np.mean(values) for values in line.values])
        for position, values in zip(x, line.values, strict=True):
            dots = np.full(len(values), position - 0.05)
            axes.plot(dots, values, marker, ms=3.5, color=colour, alpha=0.45, mew=0)
        if line.intervals:
            low, high = np.asarray(line.intervals, float).T
            errors = np.clip(np.stack([means - low, high - means]), 0, None)
            axes.errorbar(x, means, errors, fmt="none", ecolor=colour, elinewidth=1.6, capsize=4)
        axes.plot(x, means, "-", color=colour, marker=marker, ms=7, lw=1.6, label=line.name)
        if chosen is not None and chosen[0] == line.name:
            at = list(line.ratios).index(chosen[1])
            ring = (x[at], means[at])
    for (name, value), dash in zip((controls or {}).items(), ("--", ":", "-.") * 4, strict=False):
        axes.axhline(value, color=MUTED, linestyle=dash, linewidth=1.4, label=name)
    if ring is not None:
        axes.plot(
            *ring, "o", ms=15, mfc="none", mec=INK, mew=1.3, ls="", label="chosen on validation"
        )
    axes.set_xticks(range(len(grid)), [f"{ratio:g}" for ratio in grid])
    axes.set_xlim(-0.5, len(grid) - 0.5)
    label_axes(axes, title, "synthetic images per real image (0 = augmentation only)", metric)
    add_legend(axes, columns=2, below=True)
    return use_fonts(figure)


def _two_classes(truth: ArrayLike) -> NDArray[np.bool_]:
    positive = np.asarray(truth).astype(bool)
    if positive.all() or not positive.any():
        raise InputError("a curve needs images of the target class and others")
    return positive


def precision_recall_plot(
    truth: ArrayLike, scores: Mapping[str, ArrayLike], *, title: str = "Precision and recall"
) -> Figure:
    """Precision against recall of one or more classifiers on the same images.

    Args:
        truth: N booleans, True for the target class.
        scores: name -> N scores, larger for the target class.
        title: first line bold, further lines smaller.

    Returns:
        The figure; average precision stands in the legend, prevalence is a line.

    Raises:
        InputError: only one class occurs.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    positive = _two_classes(truth)
    figure, axes = new_figure(4.4, 4.4)
    for index, (name, score) in enumerate(scores.items()):
        precision, recall, _ = precision_recall_curve(positive, np.asarray(score))
        average = average_precision_score(positive, np.asarray(score))
        axes.step(
            recall,
            precision,
            where="post",
            color=PALETTE[index % len(PALETTE)],
            linewidth=1.9,
            label=f"{name} (AP {average:.3f})",
        )
    share = float(positive.mean())
    axes.axhline(share, color=MUTED, linestyle="--", lw=1.2, label=f"prevalence {share:.2f}")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03), aspect="equal")
    label_axes(axes, title, "recall (sensitivity)", "precision")
    add_legend(axes)
    return use_fonts(figure)


def class_counts_plot(
    counts: Mapping[str, Mapping[str, int]], *, title: str = "Images per class"
) -> Figure:
    """Horizontal stacked bars of the number of images in each class.

    Args:
        counts: class -> part (such as a split or an origin) -> number of images.
        title: first line bold, further lines smaller.

    Returns:
        The figure; the total stands at the end of each bar.

    Raises:
        InputError: there is no class.
    """
    if not counts:
        raise InputError("a plot of class counts needs one class at least")
    parts = list(dict.fromkeys(part for row in counts.values() for part in row))
    figure, axes = new_figure(5.4, 1.7 + 0.34 * len(counts))
    positions = np.arange(len(counts))
    left = np.zeros(len(counts))
    for index, part in enumerate(parts):
        width = np.array([row.get(part, 0) for row in counts.values()], float)
        axes.barh(
            positions, width, left=left, height=0.7, color=PALETTE[index % len(PALETTE)], label=part
        )
        left += width
    for position, total in zip(positions, left, strict=True):
        axes.annotate(
            f"{int(total)}",
            (total, position),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
        )
    axes.set_yticks(positions, [printable(name) for name in counts])
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, float(left.max())) * 1.1)
    axes.grid(False, axis="y")
    label_axes(axes, title, "images", "")
    if len(parts) > 1:
        add_legend(axes, columns=len(parts), below=True)
    return use_fonts(figure)


def kernel_distance_plot(
    steps: Sequence[float],
    values: Sequence[float],
    *,
    spread: Sequence[float] | None = None,
    floor: tuple[float, float] | None = None,
    title: str = "Kernel distance while training",
    x_label: str = "thousand images seen",
    y_label: str = "kernel distance (KID)",
) -> Figure:
    """KID over training with the band that real photographs reach among themselves.

    Args:
        steps: positions.
        values: the distances.
        spread: their standard deviations over subsets, or None.
        floor: mean and standard deviation of the real-against-real distance, or None.
        title: first line bold, further lines smaller.
        x_label: the horizontal axis.
        y_label: the vertical axis; name the features when they are not Inception's.

    Returns:
        The figure.

    Raises:
        InputError: there is no value.
    """
    if not len(values):
        raise InputError("a plot of the kernel distance needs one value at least")
    figure, axes = new_figure()
    if floor is not None:
        middle, half = floor
        axes.axhspan(
            middle - half, middle + half, color=GREEN, alpha=0.18, lw=0, label="real against real"
        )
        axes.axhline(middle, color=GREEN, linewidth=1.2)
    axes.plot(steps, values, "-o", color=BLUE, linewidth=1.8, markersize=4, label="generated")
    if spread is not None:
        y, half_width = np.asarray(values, float), np.asarray(spread, float)
        axes.fill_between(steps, y - half_width, y + half_width, color=SKY, alpha=0.3, linewidth=0)
    best = int(np.nanargmin(np.asarray(values, float)))
    axes.plot(steps[best], values[best], "o", ms=12, mfc="none", mec=ORANGE, mew=1.8, label="best")
    label_axes(axes, title, x_label, y_label)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    add_legend(axes)
    return use_fonts(figure)
