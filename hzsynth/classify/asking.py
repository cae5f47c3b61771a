"""What every way of asking a classifier about single photographs shares; needs no torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.photos import decode_image, square
from hzsynth.core.progress import Progress

_AT_ONCE = 64


def exported_file(path: Path) -> Path | None:
    """The ONNX file that a path names: itself, or that of an export's folder; None for a run."""
    inside = path / "model.onnx"
    if inside.is_file():
        return inside
    return None if path.is_dir() else path


def read_photograph(file: Path) -> tuple[bytes, NDArray[np.uint8]]:
    """A file's bytes and its upright pixels, uint8 H x W x 3.

    Raises:
        InputError: the file cannot be read or decoded.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{file}': {error.strerror}") from error
    return data, decode_image(data, str(file))


def network_input(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The central square of H x W x 3, resized with antialiasing, as uint8 3 x size x size."""
    return np.ascontiguousarray(square(pixels, size).transpose(2, 0, 1))


def prediction_table(
    files: Sequence[Path],
    labels: Sequence[str],
    size: int,
    ask: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    progress: Progress,
) -> pd.DataFrame:
    """Asks about photographs, decoded a batch at a time: memory does not limit their number.

    Args:
        files: photographs in any format that `core.photos.decode_image` reads.
        labels: C class names.
        size: side of the classifier's input, pixels.
        ask: uint8 N x 3 x size x size -> N x C probabilities.
        progress: where progress is shown.

    Returns:
        One row a file: ``file`` (as given), ``predicted`` (the likeliest class) and
        ``p_<class>`` (its probability in [0, 1]; a row sums to 1).

    Raises:
        InputError: no file was given, or one cannot be read.
    """
    if not files:
        raise InputError("predict needs at least one photograph, none was given")
    parts = []
    with progress.task("predicting", total=len(files), unit="img") as task:
        for start in range(0, len(files), _AT_ONCE):
            chunk = files[start : start + _AT_ONCE]
            parts.append(ask(np.stack([network_input(read_photograph(f)[1], size) for f in chunk])))
            task.advance(len(chunk))
    probabilities = np.concatenate(parts)
    table = pd.DataFrame({"file": [str(file) for file in files]})
    table["predicted"] = [labels[index] for index in probabilities.argmax(axis=1)]
    for column, label in enumerate(labels):
        table[f"p_{label}"] = probabilities[:, column]
    return table
