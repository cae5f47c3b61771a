"""Class probabilities of single photographs, for research use; no diagnosis."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from hzsynth.classify.models import load_classifier
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.data.photos import decode_image, square

_AT_ONCE = 64


def predict(
    run: RunDir,
    files: Sequence[Path],
    *,
    compute: Compute = CPU_FP32,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Asks a trained classifier about photographs.

    A photograph is brought to the network's input as in training: its central square,
    resized with antialiasing. Photographs are decoded a batch at a time, so their number is
    not limited by memory.

    Args:
        run: a finished run of `train_classifier` or `train_kdect`.
        files: photographs in any format that `data.photos.decode_image` reads.
        compute: device and precision.
        progress: where progress is shown.

    Returns:
        One row a file: ``file`` (as given), ``predicted`` (the likeliest class) and
        ``p_<class>`` (its probability in [0, 1]; a row sums to 1).

    Raises:
        InputError: no file was given, one cannot be read, or the run holds no classifier.
    """
    if not files:
        raise InputError("predict needs at least one photograph, none was given")
    classifier = load_classifier(run)
    parts = []
    with progress.task("predicting", total=len(files), unit="img") as task:
        for start in range(0, len(files), _AT_ONCE):
            chunk = files[start : start + _AT_ONCE]
            pixels = torch.stack([_read(file, classifier.size) for file in chunk])
            parts.append(classifier.probabilities(pixels, compute))
            task.advance(len(chunk))
    probabilities = np.concatenate(parts)
    table = pd.DataFrame({"file": [str(file) for file in files]})
    table["predicted"] = [classifier.labels[index] for index in probabilities.argmax(axis=1)]
    for column, label in enumerate(classifier.labels):
        table[f"p_{label}"] = probabilities[:, column]
    return table


def _read(file: Path, size: int) -> torch.Tensor:
    """A photograph as uint8 3 x size x size."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{file}': {error.strerror}") from error
    pixels = square(decode_image(data, str(file)), size)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
