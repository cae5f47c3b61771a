"""Classifiers: a run from a set, and what it is worth on real photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hzsynth.classify.evaluate.evaluation import Evaluation, ask, judge
from hzsynth.classify.evaluate.evaluation_page import short_metrics, write_evaluation
from hzsynth.classify.evaluate.operating_point import OperatingPoint, operating_point
from hzsynth.classify.evaluate.subgroups import Subgroup, subgroups
from hzsynth.classify.train import classifier, continual, kdect
from hzsynth.core.devices import Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.stages.classes import known_label
from hzsynth.stages.places import Place

TEST = "test"
"""The folder in a KDE-CT run that holds its evaluation."""


def train_classifier(
    images: ImageSet,
    config: classifier.ClassifyConfig,
    place: Place,
    *,
    compute: Compute,
    progress: Progress = SILENT,
) -> RunDir:
    """Fine-tunes one classifier, or goes on where the run left off.

    Args:
        images: a set with splits.
        config: the settings.
        place: where the run lies.
        compute: device and precision.
        progress: where progress is shown.

    Returns:
        The finished run.

    Raises:
        InputError: see `classify.train.classifier.train_classifier`.
        RefusedError: a training image touches a held-out photograph.
    """
    known_label(images, config.label)
    with place.run(classifier.RUN_KIND, config, {"images": images.digest}) as run:
        if not run.finished:
            classifier.train_classifier(
                images,
                config,
                run,
                compute=compute,
                progress=progress,
                processes=place.processes,
            )
    return run


def continue_classifier(
    started: RunDir,
    images: ImageSet,
    old: ImageSet | None,
    config: continual.ContinueConfig,
    place: Place,
    *,
    compute: Compute,
    progress: Progress = SILENT,
) -> RunDir:
    """Goes on from a trained classifier with another set.

    Args:
        started: the run of the classifier to begin with.
        images: the new set, with splits.
        old: what it was trained on before, or None.
        config: the settings.
        place: where the new run lies.
        compute: device and precision.
        progress: where progress is shown.

    Returns:
        The finished run; its result says what it did to the old set.

    Raises:
        InputError: see `classify.train.continual.continue_training`.
        RefusedError: a training image touches a held-out photograph.
    """
    inputs = {"images": images.digest, "run": started.id, "old": old.digest if old else ""}
    with place.run(classifier.RUN_KIND, config, inputs) as run:
        if not run.finished:
            continual.continue_training(
                started,
                images,
                old,
                config,
                run,
                compute=compute,
                progress=progress,
                processes=place.processes,
            )
    return run


def train_kdect(
    images: ImageSet,
    config: kdect.KdectConfig,
    place: Place,
    *,
    compute: Compute,
    progress: Progress = SILENT,
) -> RunDir:
    """KDE-CT: fine-tunes the teachers, then distils their ensemble along a curriculum.

    Args:
        images: a set with splits.
        config: the settings.
        place: where the run lies.
        compute: device and precision.
        progress: where progress is shown.

    Returns:
        The finished run.

    Raises:
        InputError: see `classify.train.kdect.train_kdect`.
        RefusedError: a training image touches a held-out photograph.
    """
    known_label(images, config.label)
    with place.run(kdect.RUN_KIND, config, {"images": images.digest}) as run:
        if not run.finished:
            kdect.train_kdect(
                images,
                config,
                run,
                compute=compute,
                progress=progress,
                processes=place.processes,
            )
    return run


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, with what was asked for besides.

    Attributes:
        evaluation: every metric with its interval.
        run: of the classifier.
        point: the threshold chosen on validation, or None.
        parts: the figures by skin tone, source or another column.
    """

    evaluation: Evaluation
    run: RunDir
    point: OperatingPoint | None
    parts: Sequence[Subgroup]

    def write(self, folder: Path) -> Path:
        """Writes tables, plots and the page; returns the page.

        Raises:
            InputError: the folder cannot be written to.
        """
        return write_evaluation(
            self.evaluation, self.run, folder, point=self.point, parts=self.parts
        )

    def short(self) -> dict[str, str]:
        """What a person reads: name -> figure with interval."""
        return short_metrics(self.evaluation, self.point, self.parts)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values: dict[str, Any] = {"test": self.evaluation.to_json()}
        if self.point is not None:
            values["operating_point"] = self.point.to_json()
        if self.parts:
            values["parts"] = [part.to_json() for part in self.parts]
        return values


def evaluate(
    run: RunDir,
    images: ImageSet,
    *,
    split: str = "test",
    by: Sequence[str] = (),
    sensitivity: float | None = None,
    seed: int = 0,
    compute: Compute,
) -> Evaluated:
    """Evaluates a classifier on real photographs.

    Args:
        run: of the classifier.
        images: the photographs.
        split: train, val or test; empty for a set without splits.
        by: also by these: tone, source or a column of the set.
        sensitivity: choose the threshold that finds this share of val's target class.
        seed: of the bootstrap.
        compute: device and precision.

    Returns:
        Every metric with its interval.

    Raises:
        InputError: see `classify.evaluate.evaluation.evaluate`.
        RefusedError: the part holds synthetic images, or photographs that the classifier
            learned from.
    """
    answers = ask(run, images, split, compute)
    evaluation = judge(answers, run, split=split, seed=seed)
    point = None
    if sensitivity is not None:
        point = operating_point(ask(run, images, "val", compute), answers, sensitivity)
    parts = [part for name in dict.fromkeys(by) for part in subgroups(answers, name, seed=seed)]
    return Evaluated(evaluation, run, point, parts)
