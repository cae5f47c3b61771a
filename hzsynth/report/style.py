"""One style for every plot: colour-blind-safe palette, quiet axes, no global state.

The colours are those of Okabe and Ito, "Color Universal Design" (2008). Figures are made
without pyplot, so that threads and callers cannot disturb one another.
"""

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from hzsynth.core.files import atomic_write_bytes
from hzsynth.report.fonts import families, printable

BLUE, ORANGE, GREEN, YELLOW = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, INK, MUTED, GRID = "#CC79A7", "#56B4E9", "#222222", "#6b6b6b", "#e4e4e4"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
_TITLE, _TEXT, _SMALL = 12.0, 10.0, 9.0


def new_figure(width: float = 5.4, height: float = 3.6) -> tuple[Figure, Axes]:
    """A figure with one plot in the house style; sizes in inches."""
    figure = Figure(
        figsize=(width, height),
        dpi=150,
        layout=ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.09),
        facecolor="white",
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    style_axes(axes)
    return figure, axes


def style_axes(axes: Axes) -> None:
    """Quiet spines, light grid, readable ticks."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(labelsize=_SMALL, colors=INK, length=3, labelfontfamily=families())
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def label_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Writes title and axis labels; the title's further lines are smaller and grey."""
    first, _, rest = title.partition("\n")
    axes.set_title(
        first, loc="left", fontsize=_TITLE, fontweight="bold", color=INK, pad=22 if rest else 8
    )
    if rest:
        axes.annotate(
            rest,
            (0, 1),
            xytext=(0, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=_SMALL,
            color=MUTED,
        )
    axes.set_xlabel(x, fontsize=_TEXT, color=INK)
    axes.set_ylabel(y, fontsize=_TEXT, color=INK)


def add_legend(axes: Axes, columns: int = 1, below: bool = False) -> None:
    """A frameless legend, inside the plot where there is room or below it."""
    if below:
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.18),
            ncols=columns,
            fontsize=_SMALL,
            frameon=False,
        )
    else:
        axes.legend(loc="best", ncols=columns, fontsize=_SMALL, framealpha=0.85, edgecolor="none")


def use_fonts(figure: Figure) -> Figure:
    """Gives every text a font that has its characters, Korean included where it can be."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontfamily(families())
        text.set_text(printable(text.get_text()))
    return figure


def figure_png(figure: Figure, dpi: int = 150) -> bytes:
    """The figure as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def save_figure(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Writes the figure as a PNG file."""
    atomic_write_bytes(path, figure_png(figure, dpi))
