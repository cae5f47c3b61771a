"""Evaluation of a classifier on real photographs: every metric with its interval."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hzsynth.classify.answers import answers_of
from hzsynth.classify.evaluate.calibration import CalibrationError, calibration_error
from hzsynth.classify.evaluate.efficiency import Efficiency, measure_efficiency
from hzsynth.classify.evaluate.operating_point import OperatingPoint, operating_point
from hzsynth.classify.evaluate.recommended_levels import ReachedLevel, against_recommended_levels
from hzsynth.classify.evaluate.subgroups import Subgroup, subgroups
from hzsynth.classify.evaluate.target_prior import CorrectedPrior, corrected_prior
from hzsynth.classify.models import MODEL, Classifier, load_classifier
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_learned
from hzsynth.core.run import RunDir
from hzsynth.report.tables import table_csv
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.metric_intervals import (
    Metric,
    class_metrics_with_intervals,
    metrics_with_intervals,
)

_FEWEST = 100


@dataclass(frozen=True)
class Evaluation:
    """What a classifier is worth on a set of real photographs.

    Attributes:
        answers: what the classifier said of each photograph.
        file_names: of the photographs.
        split: the part of the set, empty for a set without splits.
        metrics: name -> figure with interval, in the order of `classification.METRICS`.
        per_class: class -> ``f1``, ``precision``, ``recall`` -> figure with interval, for the
            classes that occur.
        efficiency: what the classifier costs on this machine's CPU.
        levels: the recommended levels and whether they are reached.
        calibration: the expected calibration error.
        corrected: the choices after a shift of the target class that validation photographs
            chose; None where there are none to choose it on.
        point: the operating point of a wanted sensitivity, or None.
        parts: subgroups of the photographs, of one or several groupings.
        run: id of the classifier's run.
        images_digest: identifies the photographs.
        seed: of the bootstrap.
        bootstrap: replicates.
    """

    answers: Answers
    file_names: tuple[str, ...]
    split: str
    metrics: Mapping[str, Metric]
    per_class: Mapping[str, Mapping[str, Metric]]
    efficiency: Efficiency
    levels: tuple[ReachedLevel, ...]
    calibration: CalibrationError
    corrected: CorrectedPrior | None
    point: OperatingPoint | None
    parts: tuple[Subgroup, ...]
    run: str
    images_digest: str
    seed: int
    bootstrap: int

    @property
    def n(self) -> int:
        """Number of photographs."""
        return len(self.answers)

    @property
    def patients(self) -> int:
        """Number of patients; a photograph whose patient is unknown counts as its own."""
        return self.answers.count_patients()

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the classifier's outputs."""
        return self.answers.labels

    @property
    def label(self) -> str:
        """The target class."""
        return self.answers.label

    @property
    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """C x C counts, rows are the true classes."""
        return tuple(tuple(row) for row in self.answers.confusion.tolist())

    def table(self) -> pd.DataFrame:
        """One row a photograph: its file, then the columns of `Answers.to_frame`."""
        table = self.answers.to_frame()
        table.insert(0, "file_name", list(self.file_names))
        return table

    def to_json(self) -> dict[str, Any]:
        """The figures of all photographs, as plain values."""
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
            "calibration": asdict(self.calibration),
            "corrected_prior": None if self.corrected is None else self.corrected.to_json(),
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
        atomic_write_text(folder / "predictions.csv", table_csv(self.table()))


def evaluate(
    run: RunDir,
    images: ImageSet,
    *,
    split: str = "test",
    by: Sequence[str] = (),
    sensitivity: float | None = None,
    compute: Compute = CPU_FP32,
    seed: int = 0,
    bootstrap: int = 1000,
) -> Evaluation:
    """Evaluates a trained classifier.

    Args:
        run: a finished run of `train_classifier` or `train_kdect`.
        images: the set; every image of the split must be a photograph.
        split: which part; empty for a set without. Photographs of ``train`` are known to it.
        by: groupings to judge the parts of, see `subgroups.values_of`.
        sensitivity: share of the target class that a threshold chosen on val shall find, or None.
        compute: device and precision of the predictions.
        seed: of the bootstrap.
        bootstrap: replicates, at least 100.

    Returns:
        The evaluation.

    Raises:
        InputError: there are too few replicates, or see `photographs_to_judge`.
        RefusedError: see `photographs_to_judge`.
    """
    if bootstrap < _FEWEST:
        raise InputError(f"`bootstrap` is at least {_FEWEST} replicates, not {bootstrap}")
    classifier = load_classifier(run)
    part = photographs_to_judge(run, classifier, images, split)
    answers = answers_of(classifier, part, compute)
    validation = _validation(run, classifier, images, compute, needed=sensitivity is not None)
    point = corrected = None
    if validation is not None and split != "val":
        corrected = corrected_prior(validation, answers, seed=seed, bootstrap=bootstrap)
    if validation is not None and sensitivity is not None:
        point = operating_point(validation, answers, sensitivity)
    metrics = metrics_with_intervals(answers, seed=seed, bootstrap=bootstrap)
    efficiency = measure_efficiency(classifier, run.path / MODEL)
    return Evaluation(
        answers=answers,
        file_names=tuple(record.file_name for record in part),
        split=split,
        metrics=metrics,
        per_class=class_metrics_with_intervals(answers),
        efficiency=efficiency,
        levels=against_recommended_levels(metrics, efficiency.costs()),
        calibration=calibration_error(answers, seed=seed, bootstrap=bootstrap),
        corrected=corrected,
        point=point,
        parts=_parts(answers, part, by, seed, bootstrap),
        run=run.id,
        images_digest=part.digest,
        seed=seed,
        bootstrap=bootstrap,
    )


def _validation(
    run: RunDir, classifier: Classifier, images: ImageSet, compute: Compute, *, needed: bool
) -> Answers | None:
    """What the classifier says of the validation photographs; None where they may not be asked."""
    try:
        part = photographs_to_judge(run, classifier, images, "val")
    except (InputError, RefusedError):
        if needed:
            raise
        return None
    return answers_of(classifier, part, compute)


def _parts(
    answers: Answers, photographs: ImageSet, by: Sequence[str], seed: int, bootstrap: int
) -> tuple[Subgroup, ...]:
    return tuple(
        part
        for grouping in dict.fromkeys(by)
        for part in subgroups(answers, photographs, grouping, seed=seed, bootstrap=bootstrap)
    )


def photographs_to_judge(
    run: RunDir, classifier: Classifier, images: ImageSet, split: str
) -> ImageSet:
    """The photographs of a split, if they say something honest about the classifier.

    Args:
        run: of the classifier; it knows what was learned from.
        classifier: read from the run.
        images: the set.
        split: which part; empty for a set without splits.

    Returns:
        The part.

    Raises:
        InputError: the part is empty, lacks the target class or has nothing else, or has a
            class that the classifier does not know.
        RefusedError: the part holds synthetic or augmented images, or (other than in the train
            split) a photograph that the classifier learned from.
    """
    part = images.select(split=split)
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
        check_learned(run.id, run.training_images(), [part], [images])
    return part
