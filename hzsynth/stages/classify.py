"""Classifiers: a run from a set, and what it is worth on real photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from hzsynth.classify.evaluate import evaluation
from hzsynth.classify.evaluate.continued import measure_known
from hzsynth.classify.evaluate.evaluation_page import short_metrics, write_evaluation
from hzsynth.classify.train import classifier, continual, kdect
from hzsynth.classify.train.config import (
    CLASSIFY_RUN,
    KDECT_RUN,
    ClassifyConfig,
    ContinueConfig,
    KdectConfig,
)
from hzsynth.core.devices import Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.stages.classes import known_label
from hzsynth.stages.places import Place
from hzsynth.stages.showing import notebook_html

TEST = "test"
"""The folder in a KDE-CT run that holds its evaluation."""


def train_classifier(
    images: ImageSet,
    config: ClassifyConfig,
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
    with place.run(CLASSIFY_RUN, config, {"images": images.digest}) as run:
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
    config: ContinueConfig,
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
    with place.run(CLASSIFY_RUN, config, inputs) as run:
        if not run.finished:
            continual.continue_training(
                started,
                images,
                old,
                config,
                run,
                measure=partial(measure_known, compute=compute, seed=config.seed),
                compute=compute,
                progress=progress,
                processes=place.processes,
            )
    return run


def train_kdect(
    images: ImageSet,
    config: KdectConfig,
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
    with place.run(KDECT_RUN, config, {"images": images.digest}) as run:
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


@dataclass(frozen=True, repr=False)
class Evaluated:
    """An evaluation and the run of its classifier.

    Attributes:
        evaluation: every metric with its interval, and what was asked for besides.
        run: of the classifier.
    """

    evaluation: evaluation.Evaluation
    run: RunDir

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {text}" for name, text in self.short().items())

    def _repr_html_(self) -> str:
        """The figures with their intervals."""
        rows = pd.DataFrame(list(self.short().items()), columns=["figure", "value"])
        return notebook_html(f"evaluation of {self.evaluation.label}", rows=rows)

    def write(self, folder: Path | str) -> Path:
        """Writes tables, plots and the page; returns the page.

        Raises:
            InputError: the folder cannot be written to.
        """
        return write_evaluation(self.evaluation, self.run, Path(folder))

    def short(self) -> dict[str, str]:
        """What a person reads: name -> figure with interval."""
        return short_metrics(self.evaluation)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values: dict[str, Any] = {"test": self.evaluation.to_json()}
        if self.evaluation.point is not None:
            values["operating_point"] = self.evaluation.point.to_json()
        if self.evaluation.parts:
            values["parts"] = [part.to_json() for part in self.evaluation.parts]
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
    found = evaluation.evaluate(
        run, images, split=split, by=by, sensitivity=sensitivity, compute=compute, seed=seed
    )
    return Evaluated(found, run)
