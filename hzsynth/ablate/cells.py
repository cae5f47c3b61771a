"""One cell: its training set is built, a classifier trained and asked about the held-out photographs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import Cell
from hzsynth.augment.build import build_dataset
from hzsynth.augment.config import BuildConfig
from hzsynth.augment.mixture import ClassPlan
from hzsynth.classify.answers import answers_of
from hzsynth.classify.evaluate.target_prior import fit_shift, shifted
from hzsynth.classify.models import load_classifier
from hzsynth.classify.train.classifier import train_classifier
from hzsynth.classify.train.config import CLASSIFY_RUN
from hzsynth.core.devices import Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import Progress
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import derive_seed
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.classification import classification_metrics

_SEED_RANGE = 2**31


@dataclass(frozen=True)
class HeldOutAnswers:
    """What a cell's classifier said of the two held-out parts.

    Attributes:
        validation: on the validation photographs, from which arms are chosen.
        test: on the test photographs, from which the verdict comes.
    """

    validation: Answers
    test: Answers


@dataclass(frozen=True)
class CellResult:
    """A finished cell.

    Attributes:
        cell: the arm and the number of the run.
        target: how the target class of its training set was made up.
        answers: what its classifier said.
    """

    cell: Cell
    target: ClassPlan
    answers: HeldOutAnswers

    def validation_metrics(self) -> Mapping[str, float]:
        """All `classification.METRICS` on the validation photographs."""
        return _metrics(self.answers.validation)

    def test_metrics(self) -> Mapping[str, float]:
        """All `classification.METRICS` on the test photographs."""
        return _metrics(self.answers.test)

    def f1_with_corrected_prior(self) -> float:
        """F1 of the target class on test, its log-odds moved as validation has it.

        Arms differ in how frequent they make the class: at the network's first choice they differ
        by that alone, too.
        """
        moved = shifted(self.answers.test, fit_shift(self.answers.validation))
        return _metrics(moved)["f1_target"]


def _metrics(answers: Answers) -> Mapping[str, float]:
    return classification_metrics(answers.truth, answers.probabilities, answers.target)


class TrainCell(Protocol):
    """Trains a classifier on a cell's training set and asks it about the held-out images."""

    def __call__(
        self,
        images: ImageSet,
        cell: Cell,
        config: AblateConfig,
        run: RunDir,
        *,
        compute: Compute,
        progress: Progress,
    ) -> HeldOutAnswers:
        """Works below the cell's run, resumes there, and depends on nothing but its arguments."""


class BuildCell(Protocol):
    """Builds a cell's training set, with the real validation and test images beside it."""

    def __call__(
        self,
        real: ImageSet,
        synthetic: Mapping[str, ImageSet],
        cell: Cell,
        config: AblateConfig,
        out: Path,
        *,
        progress: Progress,
    ) -> ImageSet:
        """Writes the set at `out`."""


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
    """Builds a cell's training set by `augment.build.build_dataset` (a `BuildCell`)."""
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
) -> HeldOutAnswers:
    """Trains by `classify.train.classifier.train_classifier` and asks the result (a `TrainCell`)."""
    changes = {"label": config.label, "seed": cell_seed(config, cell, "classifier")}
    settings = config.classifier.model_copy(update=changes)
    with run.child("classifier", CLASSIFY_RUN, settings, {"images": images.digest}) as child:
        if not child.finished:
            train_classifier(images, settings, child, compute=compute, progress=progress)
        classifier = load_classifier(child)
    return HeldOutAnswers(
        validation=answers_of(classifier, images.select("val"), compute),
        test=answers_of(classifier, images.select("test"), compute),
    )
