"""Runs an ablation cell by cell on this machine; a finished cell is never run again.

Every cell is a run of its own below the ablation's run: its training set is built, a
classifier is trained and evaluated on the real validation and test photographs, the
predictions are kept, and the training set is deleted. The training is an argument, so that
tests (or another classifier) can take its place.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from hzsynth.ablate.analysis import Analysis, analyse
from hzsynth.ablate.design import AblateConfig, Cell, chosen_generators, plan, target_plan
from hzsynth.ablate.training import CLASSIFIER, build_cell, train_cell
from hzsynth.core.config import Config
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.report.tables import table_csv
from hzsynth.statistics.predictions import METRICS, CellPredictions, Predictions, scores

KIND, CELL_KIND = "ablate", "ablate-cell"
CELLS_CSV, PREDICTIONS_CSV = "cells.csv", "predictions.csv"
_TEXT_COLUMNS = ["cell", "arm", "generator", "split", "image", "group"]
_IMAGES = "images"


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
    ) -> CellPredictions:
        """Works in the cell's `run`, resumes there, and depends on nothing but its arguments."""


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


class _CellConfig(Config):
    """What identifies a cell's run."""

    arm: str
    kind: str
    generator: str
    ratio: float
    seed: int
    ablation: dict[str, Any]


@dataclass(frozen=True)
class AblationResult:
    """A finished ablation.

    Attributes:
        config: its settings.
        cells: one row a cell, in the order of the plan: the arm, the make-up of the target
            class, and every metric on validation (``val_...``) and test (``test_...``).
        predictions: name of the cell -> its predictions.
        analysis: the comparison of the arms and the verdict.
    """

    config: AblateConfig
    cells: pd.DataFrame
    predictions: Mapping[str, CellPredictions]
    analysis: Analysis


def run_ablation(
    real: ImageSet,
    synthetic: Mapping[str, ImageSet],
    config: AblateConfig,
    run: RunDir,
    *,
    compute: Compute = CPU_FP32,
    progress: Progress = SILENT,
    train: TrainCell = train_cell,
    build: BuildCell = build_cell,
) -> AblationResult:
    """Runs every cell that is not finished, then compares the arms.

    Args:
        real: photographs with train, val and test split.
        synthetic: name -> set of generated images.
        config: the ablation's settings.
        run: where everything is written; an interrupted run goes on after its last whole cell
            (and within a cell, after the classifier's last checkpoint).
        compute: device and precision.
        progress: where progress is shown.
        train: trains and asks a classifier.
        build: builds a training set.

    Returns:
        The result. ``cells.csv``, ``predictions.csv`` and the finished mark are under the run.

    Raises:
        InputError: see `design.plan`.
        RefusedError: a training image touches a held-out photograph.
    """
    cells = plan(config, real, synthetic)
    generators = chosen_generators(config, synthetic)
    rows: list[dict[str, object]] = []
    predictions: dict[str, CellPredictions] = {}
    with progress.task("ablation", total=len(cells), unit="cell") as task:
        for cell in cells:
            with _open_cell(cell, config, run) as cell_run:
                if not cell_run.finished:
                    _run_cell(cell_run, real, generators, cell, config, compute, train, build)
                predictions[cell.name] = _read_predictions(cell_run.path / PREDICTIONS_CSV)
            rows.append(_row(cell, config, real, predictions[cell.name]))
            atomic_write_text(run.path / CELLS_CSV, table_csv(pd.DataFrame(rows)))
            task.advance(note=cell.name)
    table = pd.DataFrame(rows)
    _write_predictions(run.path / PREDICTIONS_CSV, predictions)
    analysis = analyse(table, predictions, config)
    run.finish(analysis.summary())
    return AblationResult(config, table, predictions, analysis)


def _open_cell(cell: Cell, config: AblateConfig, run: RunDir) -> RunDir:
    """Loads a finished cell of this very run, or starts or resumes it."""
    settings = _CellConfig(
        arm=cell.arm.name,
        kind=cell.arm.kind,
        generator=cell.arm.generator,
        ratio=cell.arm.ratio,
        seed=cell.seed,
        ablation=config.model_dump(mode="json"),
    )
    return run.child(f"cells/{cell.name}", CELL_KIND, settings, {})


def _run_cell(
    cell_run: RunDir,
    real: ImageSet,
    synthetic: Mapping[str, ImageSet],
    cell: Cell,
    config: AblateConfig,
    compute: Compute,
    train: TrainCell,
    build: BuildCell,
) -> None:
    path = cell_run.path
    if (path / _IMAGES).is_dir():
        images = ImageSet.load(path / _IMAGES)
    else:
        images = build(real, synthetic, cell, config, path / _IMAGES, progress=SILENT)
    # One bar is shown, that of the cells.
    said = train(images, cell, config, cell_run, compute=compute, progress=SILENT)
    frames = [
        part.ordered().frame().assign(split=name)
        for name, part in (("val", said.validation), ("test", said.test))
    ]
    atomic_write_text(path / PREDICTIONS_CSV, table_csv(pd.concat(frames, ignore_index=True)))
    cell_run.finish({"validation": scores(said.validation), "test": scores(said.test)})
    shutil.rmtree(path / _IMAGES, ignore_errors=True)
    if not config.keep_models:
        for file in sorted((path / CLASSIFIER).rglob("*.safetensors")):
            file.unlink()


def _row(
    cell: Cell, config: AblateConfig, real: ImageSet, said: CellPredictions
) -> dict[str, object]:
    made = target_plan(config, real, cell.arm)
    row: dict[str, object] = {
        "cell": cell.name,
        "arm": cell.arm.name,
        "generator": cell.arm.generator,
        "ratio": cell.arm.ratio,
        "seed": cell.seed,
        "target_real": made.real,
        "target_synthetic": made.synthetic,
        "target_augmented": made.augmented_real + made.augmented_synthetic,
        "target_duplicated": made.duplicated,
    }
    for part, predictions in (("val", said.validation), ("test", said.test)):
        row |= {f"{part}_{name}": value for name, value in scores(predictions).items()}
    return row


def _write_predictions(path: Path, predictions: Mapping[str, CellPredictions]) -> None:
    frames = [
        part.frame().assign(cell=name, split=split)
        for name, said in predictions.items()
        for split, part in (("val", said.validation), ("test", said.test))
    ]
    atomic_write_text(path, table_csv(pd.concat(frames, ignore_index=True)))


def _read_predictions(path: Path) -> CellPredictions:
    return _cell_predictions(_read_csv(path))


def _cell_predictions(frame: pd.DataFrame) -> CellPredictions:
    return CellPredictions(
        Predictions.from_frame(frame[frame["split"] == "val"]),
        Predictions.from_frame(frame[frame["split"] == "test"]),
    )


def _read_csv(path: Path) -> pd.DataFrame:
    """Reads a table; every number comes back as it was written, to the last digit."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        for name in table.columns.difference(_TEXT_COLUMNS):
            convert = float if "." in "".join(table[name]) else _bool_or_int
            table[name] = [convert(text) for text in table[name]]
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read: {error}") from error
    return table


def _bool_or_int(text: str) -> bool | int:
    return text == "True" if text in ("True", "False") else int(text)


def load_ablation(run: RunDir) -> AblationResult:
    """Reads a finished ablation and compares its arms again.

    Args:
        run: a finished run of `run_ablation`.

    Returns:
        What `run_ablation` returned.

    Raises:
        InputError: the run is of another stage, not finished, or damaged.
    """
    if run.kind != KIND:
        raise InputError(f"'{run.path}' is a run of '{run.kind}', expected '{KIND}'")
    if not run.finished:
        raise InputError(f"the run '{run.path}' is not finished: repeat its command to resume it")
    config = AblateConfig.from_sources(None, run.config)
    cells = _read_csv(run.path / CELLS_CSV)
    missing = [f"test_{name}" for name in METRICS if f"test_{name}" not in cells.columns]
    if missing:
        raise InputError(f"'{run.path / CELLS_CSV}' lacks the columns {', '.join(missing)}")
    everything = _read_csv(run.path / PREDICTIONS_CSV)
    predictions = {
        str(name): _cell_predictions(frame)
        for name, frame in everything.groupby("cell", sort=False)
    }
    return AblationResult(config, cells, predictions, analyse(cells, predictions, config))
