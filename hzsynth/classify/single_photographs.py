"""What every way of asking a classifier about single photographs shares; needs no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class PhotographAnswers:
    """What a classifier says of single photographs whose truth nobody knows.

    Attributes:
        files: N, as they were given.
        labels: C class names.
        probabilities: N x C in [0, 1]; a row sums to 1.
    """

    files: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def predicted(self) -> tuple[str, ...]:
        """The likeliest class of each photograph."""
        return tuple(self.labels[place] for place in self.probabilities.argmax(axis=1))

    def to_frame(self) -> pd.DataFrame:
        """One row a file: ``file``, ``predicted`` and ``p_<class>``."""
        table = pd.DataFrame({"file": self.files, "predicted": self.predicted})
        for column, label in enumerate(self.labels):
            table[f"p_{label}"] = self.probabilities[:, column]
        return table

    def sentences(self) -> dict[str, str]:
        """File -> its classes with their probabilities, the likeliest first."""
        shown = {}
        for file, row in zip(self.files, self.probabilities, strict=True):
            order = np.argsort(-row, kind="stable")
            shown[file] = ", ".join(f"{self.labels[place]} {row[place]:.1%}" for place in order)
        return shown

    def _repr_html_(self) -> str:
        html: str = self.to_frame().to_html(index=False, float_format="{:.3f}".format)
        return html


def ask_in_parts(
    files: Sequence[Path],
    labels: Sequence[str],
    size: int,
    ask: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    progress: Progress,
) -> PhotographAnswers:
    """Asks about photographs, decoded a batch at a time: memory does not limit their number.

    Args:
        files: photographs in any format that `core.photos.decode_image` reads.
        labels: C class names.
        size: side of the classifier's input, pixels.
        ask: uint8 N x 3 x size x size -> N x C probabilities.
        progress: where progress is shown.

    Returns:
        The answers, in the order of the files.

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
    names = tuple(str(file) for file in files)
    return PhotographAnswers(names, tuple(labels), np.concatenate(parts))
