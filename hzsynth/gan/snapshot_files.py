"""The files by which a run shows its snapshots: sheets of samples and curves."""

from collections.abc import Sequence

import torch

from hzsynth.core.image_files import write_png
from hzsynth.core.run import RunDir
from hzsynth.report.contact_sheet import contact_sheet
from hzsynth.report.plots import Curve, learning_curves
from hzsynth.report.style import save_figure
from hzsynth.score.copies import QUANTILE

KID_CURVE, VARIETY_CURVE = "kid.png", "variety.png"
_SHEET_IMAGES, _SHEET_COLUMNS = 64, 8


def write_sheet(
    run: RunDir, step: int, samples: torch.Tensor, captions: Sequence[str] | None = None
) -> None:
    """Writes ``samples/<step>.png``: the first 64 samples in a grid.

    Args:
        run: the run.
        step: the step that the samples were made at.
        samples: uint8 N x 3 x H x W.
        captions: a line under each, or None.

    Raises:
        InputError: the file cannot be written.
    """
    lines = None if captions is None else captions[:_SHEET_IMAGES]
    sheet = contact_sheet(samples[:_SHEET_IMAGES], _SHEET_COLUMNS, lines)
    write_png(run.path / "samples" / f"{step:07d}.png", sheet)


def write_curves(run: RunDir, best: int | None, most_copies: float, reference: str) -> None:
    """Writes ``kid.png`` and ``variety.png`` from the metrics of a watched run.

    Args:
        run: the run.
        best: the step that is kept.
        most_copies: the share of near-copies from which a moment is not worth keeping.
        reference: what KID is measured to.

    Raises:
        InputError: a file cannot be written.
    """
    lines = [line for line in run.metrics() if "kid" in line]
    if not lines:
        return
    steps = [line["step"] for line in lines]
    closeness = [
        Curve(
            f"to the {reference} photographs",
            steps,
            [line["kid"] for line in lines],
            [line["kid_error"] for line in lines],
        )
    ]
    if "kid_train" in lines[0]:
        closeness.append(
            Curve("to the training photographs", steps, [line["kid_train"] for line in lines])
        )
    title = "Closeness (KID, lower is closer)\nband: one standard error"
    figure = learning_curves(closeness, title=title, y_label="KID", best=best)
    save_figure(figure, run.path / KID_CURVE)
    shares = [
        Curve("near-copies", steps, [line["copies"] for line in lines]),
        Curve(f"at most by chance ({QUANTILE:.0%})", steps, [QUANTILE] * len(steps)),
        Curve(f"too many ({most_copies:.0%})", steps, [most_copies] * len(steps)),
        Curve("diversity", steps, [line.get("diversity", float("nan")) for line in lines]),
    ]
    for name in ("precision", "recall"):
        if name in lines[0]:
            shares.append(Curve(name, steps, [line.get(name, float("nan")) for line in lines]))
    title = "Copying and variety\ndiversity: distance of two samples over that of two photographs"
    figure = learning_curves(shares, title=title, y_label="share", best=best)
    save_figure(figure, run.path / VARIETY_CURVE)
