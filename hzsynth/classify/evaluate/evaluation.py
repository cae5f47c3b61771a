"""Evaluation of a classifier on real photographs: every metric with its interval."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hzsynth.classify.evaluate.efficiency import Efficiency, measure_efficiency
from hzsynth.classify.evaluate.levels import LevelRow, against_levels
from hzsynth.classify.models import MODEL, Classifier, load_classifier
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_lineage
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from hzsynth.statistics.classification import confusion_matrix
from hzsynth.statistics.metric_intervals import (
    Metric,
    class_metrics_with_intervals,
    metrics_with_intervals,
)

_AT_ONCE = 256
_FEWEST_REPLICATES = 100


@dataclass(frozen=True)
class Evaluation:
    """What a classifier is worth on a set of real photographs.

    Attributes:
        n: photographs.
        patients: groups; a photograph without a group counts as its own.
        split: the part of the set, empty for a set without splits.
        labels: class names, in the order of the classifier's outputs.
        label: target class.
        metrics: name -> figure with interval, in the order of `metrics.METRICS`.
        per_class: class -> ``f1``, ``precision``, ``recall`` -> figure with interval, for the
            classes that occur.
        confusion: C x C counts, rows are the true classes.
        predictions: one row a photograph: its file, truth, prediction and probabilities.
        efficiency: what the classifier costs on this machine's CPU.
        levels: the recommended levels and whether they are reached.
        run: id of the classifier's run.
        images_digest: identifies the photographs.
        seed: of the bootstrap.
        bootstrap: replicates.
    """

    n: int
    patients: int
    split: str
    labels: tuple[str, ...]
    label: str
    metrics: Mapping[str, Metric]
    per_class: Mapping[str, Mapping[str, Metric]]
    confusion: tuple[tuple[int, ...], ...]
    predictions: pd.DataFrame
    efficiency: Efficiency
    levels: tuple[LevelRow, ...]
    run: str
    images_digest: str
    seed: int
    bootstrap: int

    def to_json(self) -> dict[str, Any]:
        """Everything but the predictions, as plain values."""
        return {
            "n": self.n,
            "patients": self.patients,
            "split": self.split,
            "labels": list(self.labels),
            "label": self.label,
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "per_class": {
                label: {name: asdict(metric) for name, metric in row.items()}
                for label, row in self.per_class.items()
            },
            "confusion": [list(row) for row in self.confusion],
            "efficiency": self.efficiency.to_json(),
            "levels": [asdict(row) for row in self.levels],
            "run": self.run,
            "images_digest": self.images_digest,
            "seed": self.seed,
            "bootstrap": self.bootstrap,
        }

    def save(self, folder: Path) -> None:
        """Writes ``evaluation.json`` and ``predictions.csv``.

        Raises:
            InputError: they cannot be written.
        """
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        atomic_write_text(folder / "evaluation.json", text)
        atomic_write_text(folder / "predictions.csv", self.predictions.to_csv(index=False))


def evaluate(
    run: RunDir,
    images: ImageSet,
    *,
    split: str = "test",
    compute: Compute = CPU_FP32,
    seed: int = 0,
    bootstrap: int = 1000,
) -> Evaluation:
    """Evaluates a trained classifier.

    Args:
        run: a finished run of `train_classifier` or `train_kdect`.
        images: the set; every image of the split must be a photograph.
        split: which part; empty for a set without splits. With ``train`` the figures are those
            of photographs that the classifier knows.
        compute: device and precision of the predictions.
        seed: of the bootstrap.
        bootstrap: replicates, at least 100.

    Returns:
        The evaluation.

    Raises:
        InputError: the part is empty, lacks the target class or has nothing else, or has a
            class that the classifier does not know; or there are too few replicates.
        RefusedError: the part holds synthetic or augmented images, or (other than in the train
            split) a photograph that the classifier learned from.
    """
    return judge(ask(run, images, split, compute), run, split=split, seed=seed, bootstrap=bootstrap)


@dataclass(frozen=True)
class Asked:
    """What a classifier said about N photographs.

    Attributes:
        photographs: the part of the set.
        classifier: that was asked.
        truth: N class numbers.
        probabilities: N x C.
        groups: N patients or cases.
    """

    photographs: ImageSet
    classifier: Classifier
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    groups: tuple[str, ...]

    @property
    def target(self) -> int:
        """Number of the target class."""
        return self.classifier.labels.index(self.classifier.label)


def ask(run: RunDir, images: ImageSet, split: str, compute: Compute = CPU_FP32) -> Asked:
    """Asks a trained classifier about the photographs of a split.

    Args:
        run: see `evaluate`, as are the other arguments and the errors.
        images: the set.
        split: which part.
        compute: device and precision.

    Returns:
        Truth and answers.
    """
    part = images.select(split=split)
    classifier = load_classifier(run)
    _check_photographs(part, split, run, classifier)
    return Asked(
        photographs=part,
        classifier=classifier,
        truth=np.array([classifier.labels.index(r.label) for r in part], dtype=np.int64),
        probabilities=_probabilities(classifier, part, compute),
        groups=tuple(record.patient for record in part),
    )


def judge(
    asked: Asked, run: RunDir, *, split: str = "test", seed: int = 0, bootstrap: int = 1000
) -> Evaluation:
    """Judges a classifier's answers; the second half of `evaluate`, whose arguments these are.

    Raises:
        InputError: there are too few replicates.
    """
    if bootstrap < _FEWEST_REPLICATES:
        raise InputError(f"bootstrap is at least {_FEWEST_REPLICATES} replicates, not {bootstrap}")
    part, classifier, probabilities = asked.photographs, asked.classifier, asked.probabilities
    truth, target, groups = asked.truth, asked.target, asked.groups
    metrics = metrics_with_intervals(
        truth, probabilities, target, groups, seed=seed, bootstrap=bootstrap
    )
    confusion = confusion_matrix(truth, probabilities.argmax(axis=1), len(classifier.labels))
    efficiency = measure_efficiency(classifier, run.path / MODEL)
    return Evaluation(
        n=len(part),
        patients=len(set(groups)),
        split=split,
        labels=classifier.labels,
        label=classifier.label,
        metrics=metrics,
        per_class=class_metrics_with_intervals(
            confusion, classifier.labels, clustered=len(set(groups)) < len(part)
        ),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        predictions=_table(part, classifier, probabilities),
        efficiency=efficiency,
        levels=against_levels(
            {name: (m.value, m.low) for name, m in metrics.items()}, efficiency.level_values()
        ),
        run=run.id,
        images_digest=part.digest,
        seed=seed,
        bootstrap=bootstrap,
    )


def _check_photographs(part: ImageSet, split: str, run: RunDir, classifier: Classifier) -> None:
    """Refuses a part that says nothing, or nothing honest, about the classifier."""
    if not len(part):
        which = f"in the split '{split}'" if split else "without a split"
        raise InputError(f"'{part.root}' has no images {which}")
    made = next((record for record in part if not record.is_real), None)
    if made is not None:
        raise RefusedError(
            f"evaluation is on real photographs only, but '{made.file_name}' is {made.origin}"
        )
    unknown = sorted(set(part.labels) - set(classifier.labels))
    if unknown:
        raise InputError(
            f"class '{unknown[0]}' of '{part.root}' is not known to the classifier, which has "
            f"{', '.join(classifier.labels)}"
        )
    if classifier.label not in part.labels or len(part.labels) < 2:
        raise InputError(
            f"evaluation needs photographs of '{classifier.label}' and of another class, "
            f"'{part.root}' has only {', '.join(part.labels)} to evaluate on"
        )
    if split != "train":
        learned = [
            ImageRecord(t.sha256[:12], "", "train", t.group, sha256=t.sha256, phash=t.phash)
            for t in run.training_images()
        ]
        check_lineage(learned, part, {})


def _probabilities(
    classifier: Classifier, images: ImageSet, compute: Compute
) -> NDArray[np.float64]:
    parts = []
    for start in range(0, len(images), _AT_ONCE):
        chunk = images.replace_records(images.records[start : start + _AT_ONCE])
        parts.append(classifier.probabilities(load_pixels(chunk, classifier.size), compute))
    return np.concatenate(parts).astype(np.float64)


def _table(
    images: ImageSet, classifier: Classifier, probabilities: NDArray[np.float64]
) -> pd.DataFrame:
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
