"""What a cell does by default: build its training set, train a classifier, ask it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hzsynth.ablate.design import AblateConfig, Cell
from hzsynth.augment.build import BuildConfig, build_dataset
from hzsynth.classify.models import Classifier, load_classifier
from hzsynth.classify.train.classifier import RUN_KIND, train_classifier
from hzsynth.core.devices import Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import Progress
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import derive_seed
from hzsynth.data.loading import load_pixels
from hzsynth.statistics.predictions import CellPredictions, Predictions

CLASSIFIER = "classifier"
"""Where a cell's classifier lies, relative to the cell's run."""
_SEED_RANGE = 2**31
_AT_ONCE = 256


def cell_seed(config: AblateConfig, cell: Cell, purpose: str) -> int:
    """A seed of the run's number and not of the arm: arms of one number share their randomness."""
    return derive_seed(config.seed, "ablate", purpose, cell.seed) % _SEED_RANGE


def build_cell(
    real: ImageSet,
    synthetic: Mapping[str, ImageSet],
    cell: Cell,
    config: AblateConfig,
    out: Path,
    *,
    progress: Progress,
) -> ImageSet:
    """Builds a cell's training set by `augment.build.build_dataset` (a `runner.BuildCell`)."""
    choices = {
        "label": config.label,
        "ratio": cell.arm.ratio,
        "multiplier": config.multiplier,
        "arm": cell.arm.kind,
        "balance": config.balance,
        "size": config.size or config.classifier.size,
        "seed": cell_seed(config, cell, "build"),
    }
    settings = BuildConfig.from_sources(None, choices)
    pools = [synthetic[cell.arm.generator]] if cell.arm.generator else []
    # Small pictures: starting further processes for every cell takes longer than they save.
    return build_dataset(real, pools, settings, out, workers=1, progress=progress)


def train_cell(
    images: ImageSet,
    cell: Cell,
    config: AblateConfig,
    run: RunDir,
    *,
    compute: Compute,
    progress: Progress,
) -> CellPredictions:
    """Trains by `classify.train.classifier.train_classifier` and asks the result (a `runner.TrainCell`)."""
    changes = {"label": config.label, "seed": cell_seed(config, cell, "classifier")}
    settings = config.classifier.model_copy(update=changes)
    with run.child(CLASSIFIER, RUN_KIND, settings, {"images": images.digest}) as trained:
        if not trained.finished:
            train_classifier(images, settings, trained, compute=compute, progress=progress)
    classifier = load_classifier(trained)
    return CellPredictions(
        validation=ask(classifier, images.select("val"), compute),
        test=ask(classifier, images.select("test"), compute),
    )


def ask(classifier: Classifier, photographs: ImageSet, compute: Compute) -> Predictions:
    """The target class's probability, and whether it is the first choice, for each photograph.

    Args:
        classifier: a trained classifier, which knows its target class.
        photographs: real images only.
        compute: device and precision.

    Returns:
        The predictions, in the order of the photographs.

    Raises:
        InputError: a file cannot be read, or only one of the two kinds of image occurs.
    """
    records = photographs.records
    parts = []
    for start in range(0, len(records), _AT_ONCE):
        chunk = photographs.replace_records(records[start : start + _AT_ONCE])
        pixels = load_pixels(chunk, classifier.size)
        parts.append(classifier.probabilities(pixels, compute))
    probabilities = np.concatenate(parts).astype(np.float64)
    place = classifier.labels.index(classifier.label)
    return Predictions(
        images=tuple(record.sha256 for record in records),
        groups=tuple(record.patient for record in records),
        target=np.array([record.label == classifier.label for record in records]),
        predicted=probabilities.argmax(axis=1) == place,
        probability=probabilities[:, place],
    )
