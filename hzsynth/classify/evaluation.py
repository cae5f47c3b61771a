"""Evaluation of a classifier on real photographs: every metric with its interval."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hzsynth.classify.intervals import f1_interval, proportion_interval, stratified_bootstrap
from hzsynth.classify.levels import LevelRow, against_levels
from hzsynth.classify.metrics import (
    Probabilities,
    Truth,
    confusion_matrix,
    proportions,
    score_metrics,
)
from hzsynth.classify.models import Classifier, load_classifier
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import numpy_generator
from hzsynth.data.loading import load_pixels

_AT_ONCE = 256


@dataclass(frozen=True)
class Metric:
    """A figure with its 95 % interval.

    Attributes:
        value: the figure; nan where it is not defined.
        low: lower end.
        high: upper end.
        method: how the interval was made.
    """

    value: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Evaluation:
    """What a classifier is worth on a set of real photographs.

    Attributes:
        n: photographs.
        labels: class names, in the order of the classifier's outputs.
        label: target class.
        metrics: name -> figure with interval.
        confusion: C x C counts, rows are the true classes.
        predictions: one row a photograph: its file, truth, prediction and probabilities.
        levels: the recommended levels and whether they are reached.
    """

    n: int
    labels: tuple[str, ...]
    label: str
    metrics: Mapping[str, Metric]
    confusion: tuple[tuple[int, ...], ...]
    predictions: pd.DataFrame
    levels: tuple[LevelRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything but the predictions, as plain values."""
        return {
            "n": self.n,
            "labels": list(self.labels),
            "label": self.label,
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "confusion": [list(row) for row in self.confusion],
            "levels": [asdict(row) for row in self.levels],
        }

    def save(self, folder: Path) -> None:
        """Writes ``evaluation.json`` and ``predictions.csv``.

        Raises:
            InputError: they cannot be written.
        """
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False)
        atomic_write_text(folder / "evaluation.json", text)
        atomic_write_text(folder / "predictions.csv", self.predictions.to_csv(index=False))


def evaluate(
    run: RunDir,
    images: ImageSet,
    *,
    split: str = "test",
    compute: Compute = CPU_FP32,
    seed: int = 0,
    replicates: int = 1000,
) -> Evaluation:
    """Evaluates a trained classifier.

    Args:
        run: a finished run of `train_classifier` or `train_kdect`.
        images: the set; every image of the split must be a photograph.
        split: which part; empty for a set without splits.
        compute: device and precision.
        seed: of the bootstrap.
        replicates: bootstrap resamples.

    Returns:
        The evaluation.

    Raises:
        InputError: the part is empty, or has a class that the classifier does not know.
        RefusedError: the part holds synthetic or augmented images.
    """
    part = images.select(split=split)
    if not len(part):
        raise InputError(f"'{images.root}' has no images in the split '{split}'")
    made = next((record for record in part if not record.is_real), None)
    if made is not None:
        raise RefusedError(
            f"evaluation is on real photographs only, but '{made.file_name}' is {made.origin}"
        )
    classifier = load_classifier(run)
    unknown = sorted(set(part.labels) - set(classifier.labels))
    if unknown:
        raise InputError(
            f"class '{unknown[0]}' of '{images.root}' is not known to the classifier, which has "
            f"{', '.join(classifier.labels)}"
        )
    truth = np.array([classifier.labels.index(record.label) for record in part], dtype=np.int64)
    probabilities = _probabilities(classifier, part, compute)
    target = classifier.labels.index(classifier.label)
    metrics = metrics_with_intervals(truth, probabilities, target, seed, replicates)
    confusion = confusion_matrix(truth, probabilities.argmax(axis=1), len(classifier.labels))
    return Evaluation(
        n=len(part),
        labels=classifier.labels,
        label=classifier.label,
        metrics=metrics,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        predictions=_table(part, classifier, probabilities),
        levels=against_levels({name: (m.value, m.low) for name, m in metrics.items()}),
    )


def _probabilities(classifier: Classifier, images: ImageSet, compute: Compute) -> Probabilities:
    parts = []
    for start in range(0, len(images), _AT_ONCE):
        chunk = images.replace_records(images.records[start : start + _AT_ONCE])
        parts.append(classifier.probabilities(load_pixels(chunk, classifier.size), compute))
    return np.concatenate(parts).astype(np.float64)


def metrics_with_intervals(
    truth: Truth, probabilities: Probabilities, target: int, seed: int = 0, replicates: int = 1000
) -> dict[str, Metric]:
    """All metrics of N images with 95 % intervals.

    Args:
        truth: N class numbers.
        probabilities: N x C.
        target: number of the target class.
        seed: of the bootstrap.
        replicates: bootstrap resamples.

    Returns:
        Name -> figure with interval.
    """
    confusion = confusion_matrix(truth, probabilities.argmax(axis=1), probabilities.shape[1])
    metrics = {}
    for name, (successes, trials) in proportions(confusion, target).items():
        low, high = proportion_interval(successes, trials)
        value = successes / trials if trials else float("nan")
        metrics[name] = Metric(value, low, high, f"Wilson, n = {trials}")
    hits = int(confusion[target, target])
    missed, wrong = int(confusion[target].sum()) - hits, int(confusion[:, target].sum()) - hits
    low, high = f1_interval(hits, wrong, missed)
    f1 = 2 * hits / (2 * hits + missed + wrong) if hits + missed + wrong else float("nan")
    metrics["f1_target"] = Metric(f1, low, high, "Jeffreys, by the Jaccard index")
    ends = stratified_bootstrap(
        truth,
        lambda rows: score_metrics(truth[rows], probabilities[rows], target),
        numpy_generator(seed, "evaluation"),
        replicates,
    )
    method = f"stratified bootstrap, {replicates} replicates"
    for name, value in score_metrics(truth, probabilities, target).items():
        metrics[name] = Metric(value, *ends[name], method)
    return metrics


def _table(images: ImageSet, classifier: Classifier, probabilities: Probabilities) -> pd.DataFrame:
    predicted = probabilities.argmax(axis=1)
    table = pd.DataFrame(
        {
            "file_name": [record.file_name for record in images],
            "sha256": [record.sha256 for record in images],
            "group": [record.group for record in images],
            "label": [record.label for record in images],
            "predicted": [classifier.labels[index] for index in predicted],
        }
    )
    for column, label in enumerate(classifier.labels):
        table[f"p_{label}"] = probabilities[:, column]
    return table
