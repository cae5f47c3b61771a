"""Class probabilities of single photographs, for research use; no diagnosis."""

from collections.abc import Sequence
from pathlib import Path

import torch

from hzsynth.classify.models import load_classifier
from hzsynth.classify.single_photographs import PhotographAnswers, ask_in_parts
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir


def predict(
    run: RunDir,
    files: Sequence[Path],
    *,
    compute: Compute = CPU_FP32,
    progress: Progress = SILENT,
) -> PhotographAnswers:
    """Asks a trained classifier about photographs.

    A photograph is brought to the network's input as in training: its central square,
    resized with antialiasing.

    Args:
        run: a finished run of `train_classifier` or `train_kdect`.
        files: photographs in any format that `core.photos.decode_image` reads.
        compute: device and precision.
        progress: where progress is shown.

    Returns:
        What it says of each.

    Raises:
        InputError: no file was given, one cannot be read, or the run holds no classifier.
    """
    classifier = load_classifier(run)
    return ask_in_parts(
        files,
        classifier.labels,
        classifier.size,
        lambda pixels: classifier.probabilities(torch.from_numpy(pixels), compute),
        progress,
    )
