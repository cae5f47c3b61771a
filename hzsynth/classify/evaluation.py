"""Evaluation of a classifier on real photographs: every metric with its interval."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hzsynth.classify.efficiency import Efficiency, measure_efficiency
from hzsynth.classify.intervals import (
    Interval,
    auroc_interval,
    bootstrap_weights,
    dirichlet_confusions,
    f1_interval,
    percentile_interval,
    proportion_interval,
)
from hzsynth.classify.levels import LevelRow, against_levels
from hzsynth.classify.metrics import (
    METRICS,
    choice_metrics,
    classification_metrics,
    confusion_matrix,
    order_metrics,
    proportions,
    weighted_confusions,
)
from hzsynth.classify.models import MODEL, Classifier, load_classifier
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageRecord, ImageSet
from hzsynth.core.lineage import check_lineage
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import numpy_generator
from hzsynth.data.loading import load_pixels

_AT_ONCE = 256
_FEWEST_REPLICATES = 100


@dataclass(frozen=True)
class Metric:
    """A figure with its 95 % interval.

    Attributes:
        value: the figure.
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
        patients: groups; a photograph without a group counts as its own.
        split: the part of the set, empty for a set without splits.
        labels: class names, in the order of the classifier's outputs.
        label: target class.
        metrics: name -> figure with interval, in the order of `metrics.METRICS`.
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
    if bootstrap < _FEWEST_REPLICATES:
        raise InputError(f"bootstrap is at least {_FEWEST_REPLICATES} replicates, not {bootstrap}")
    part = images.select(split=split)
    classifier = load_classifier(run)
    _check_photographs(part, split, run, classifier)
    truth = np.array([classifier.labels.index(record.label) for record in part], dtype=np.int64)
    groups = [record.group or record.sha256 for record in part]
    probabilities = _probabilities(classifier, part, compute)
    target = classifier.labels.index(classifier.label)
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


def metrics_with_intervals(
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    target: int,
    groups: Sequence[str],
    *,
    seed: int = 0,
    bootstrap: int = 1000,
) -> dict[str, Metric]:
    """All metrics of N images with 95 % intervals.

    Args:
        truth: N class numbers.
        probabilities: N x C.
        target: number of the target class.
        groups: N patients or cases; the bootstrap draws whole patients.
        seed: of the bootstrap.
        bootstrap: replicates.

    Returns:
        Name -> figure with interval, in the order of `metrics.METRICS`.

    Raises:
        InputError: the target class does not occur or nothing else does, or a probability is
            no number.
    """
    values = classification_metrics(truth, probabilities, target)
    confusion = confusion_matrix(truth, probabilities.argmax(axis=1), probabilities.shape[1])
    # Wilson and Jeffreys count images: with several of a patient they are too narrow, and say so.
    clustered = ", images as if independent" if len(set(groups)) < len(truth) else ""
    found: dict[str, tuple[Interval, str]] = {}
    for name, (successes, trials) in proportions(confusion, target).items():
        ends = proportion_interval(successes, trials)
        found[name] = ends, f"Wilson, n = {trials}{clustered}"
    hits = int(confusion[target, target])
    wrong, missed = int(confusion[:, target].sum()) - hits, int(confusion[target].sum()) - hits
    found["f1_target"] = f1_interval(hits, wrong, missed), f"Jeffreys, Jaccard index{clustered}"
    drawn = _replicates(truth, probabilities, target, groups, seed, bootstrap)
    unit = "patients" if clustered else "images"
    for name in METRICS:
        if name in found:
            continue
        ends = percentile_interval(drawn[name])
        found[name] = ends, f"bootstrap of {unit} by class, {bootstrap} replicates"
        # Rounding is no spread.
        if ends[1] - ends[0] < 1e-9:
            found[name] = _without_spread(
                name, values[name], truth, probabilities, target, (seed, bootstrap)
            )
    return {name: Metric(values[name], *found[name][0], found[name][1]) for name in METRICS}


def _replicates(
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    target: int,
    groups: Sequence[str],
    seed: int,
    bootstrap: int,
) -> dict[str, NDArray[np.float64]]:
    """The metrics of every bootstrap replicate."""
    predicted, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    parts: dict[str, list[NDArray[np.float64]]] = {}
    generator = numpy_generator(seed, "classify", "evaluation", "bootstrap")
    for weights in bootstrap_weights(truth, groups, generator, bootstrap):
        confusions = weighted_confusions(truth, predicted, classes, weights)
        chosen = choice_metrics(confusions, target)
        for name, value in {
            **chosen,
            **order_metrics(truth, probabilities, target, weights),
        }.items():
            parts.setdefault(name, []).append(value)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _without_spread(
    name: str,
    value: float,
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    target: int,
    draws: tuple[int, int],
) -> tuple[Interval, str]:
    """The interval where every bootstrap replicate is the same, as when nothing went wrong."""
    counts = np.bincount(truth, minlength=probabilities.shape[1])
    n, positives = len(truth), int(counts[target])
    if name == "average_precision_target":
        ends = proportion_interval(value * positives, positives)
        return ends, f"binomial, {positives} positives (bootstrap without spread)"
    if name in ("auroc", "auroc_target"):
        sizes = [positives] if name == "auroc_target" else counts[counts > 0].tolist()
        every = [auroc_interval(value, size, n - size) for size in sizes]
        low, high = np.mean(every, axis=0)
        return (float(low), float(high)), "Newcombe, method 5 (bootstrap without spread)"
    seed, replicates = draws
    generator = numpy_generator(seed, "classify", "evaluation", "posterior")
    confusion = confusion_matrix(truth, probabilities.argmax(axis=1), probabilities.shape[1])
    plausible = choice_metrics(dirichlet_confusions(confusion, generator, replicates), target)
    low, high = percentile_interval(plausible[name])
    # An interval of plausible values may end short of an observed extreme.
    ends = min(low, value), max(high, value)
    return ends, "Dirichlet posterior (bootstrap without spread)"


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
