"""What a run shows while it trains: sample sheets, diversity, and the caller's scores."""

import io
from collections.abc import Callable, Mapping

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from hzsynth.core.files import atomic_write_bytes
from hzsynth.core.run import RunDir
from hzsynth.report.contact_sheet import contact_sheet

Score = Callable[[torch.Tensor], Mapping[str, float]]
"""Scores samples: uint8 N x 3 x H x W -> name -> value."""

_SHEET_IMAGES, _SHEET_COLUMNS = 64, 8
_COARSE = 8


def pairwise_distance(pixels: torch.Tensor) -> float:
    """Mean distance between two images of a batch, in grey levels, after pooling to 8 x 8.

    A coarse alarm for collapse: 0 when all images are the same.

    Args:
        pixels: uint8 N x 3 x H x W.

    Returns:
        Root mean square difference a value, averaged over all pairs; 0 for a single image.
    """
    if len(pixels) < 2:
        return 0.0
    coarse = functional.adaptive_avg_pool2d(pixels.float(), _COARSE).flatten(1)
    return float(torch.pdist(coarse).mean() / coarse.shape[1] ** 0.5)


def write_sheet(run: RunDir, step: int, samples: torch.Tensor) -> None:
    """Writes ``samples/<step>.png``: the first 64 samples in a grid.

    Raises:
        InputError: the file cannot be written.
    """
    sheet = contact_sheet(samples[:_SHEET_IMAGES], _SHEET_COLUMNS)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(sheet)).save(buffer, "PNG")
    atomic_write_bytes(run.path / "samples" / f"{step:07d}.png", buffer.getvalue())


def report_snapshot(
    run: RunDir, step: int, samples: torch.Tensor, reals: torch.Tensor, score: Score | None
) -> dict[str, float]:
    """Writes the sheet and logs diversity and scores.

    Args:
        run: the run.
        step: the step that the samples were made at.
        samples: uint8 N x 3 x H x W.
        reals: the training images, likewise.
        score: the caller's score, or None.

    Returns:
        What was logged: ``diversity`` (mean pairwise distance of the samples by that of the
        reals; 1 is as varied as they are, 0 is collapse) and the scores.
    """
    write_sheet(run, step, samples)
    values: dict[str, float] = {}
    spread = pairwise_distance(reals)
    if spread > 0:
        values["diversity"] = pairwise_distance(samples) / spread
    if score is not None:
        values.update({name: float(value) for name, value in score(samples).items()})
    if values:
        run.log(step, **values)
    return values
