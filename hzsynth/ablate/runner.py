"""Runs an ablation cell by cell on this machine; a finished cell is never run again.

Every cell is a run of its own below the ablation's run: its training set is built, a
classifier is trained and evaluated on the real validation and test photographs, the
answers are kept, and the training set is deleted. The training is an argument, so that
tests (or another classifier) can take its place.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hzsynth.ablate.analysis import METRIC, Analysis, analyse
from hzsynth.ablate.cells import (
    BuildCell,
    CellResult,
    HeldOutAnswers,
    TrainCell,
    build_cell,
    train_cell,
)
from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import AblationArm, Cell, chosen_generators, plan, target_plan
from hzsynth.augment.mixture import plan_target
from hzsynth.core.config import Config
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.report.tables import table_csv
from hzsynth.statistics.answers import Answers, read_text_table

KIND, CELL_KIND = "ablate", "ablate-cell"
CELLS_CSV, PREDICTIONS_CSV = "cells.csv", "predictions.csv"
CELL_METRICS = (
    METRIC,
    "auroc_target",
    "f1_target",
    "recall_target",
    "precision_target",
    "specificity_target",
    "accuracy_target",
    "macro_f1",
)
"""The metrics in ``cells.csv``, of validation (``val_...``) and test (``test_...``)."""


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
        cells: in the order of the plan.
        analysis: the comparison of the arms and the verdict.
    """

    config: AblateConfig
    cells: tuple[CellResult, ...]
    analysis: Analysis

    def of_arm(self, arm: AblationArm) -> tuple[CellResult, ...]:
        """The cells of one arm, run by run."""
        return tuple(cell for cell in self.cells if cell.cell.arm == arm)

    @property
    def test(self) -> Answers:
        """Answers on the test photographs of one cell: their truth is that of all cells."""
        return self.cells[0].answers.test

    def table(self) -> pd.DataFrame:
        """One row a cell: the arm, the make-up of the target class, the metrics."""
        return _table(self.cells)


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
    planned = plan(config, real, synthetic)
    generators = chosen_generators(config, synthetic)
    cells: list[CellResult] = []
    with progress.task("ablation", total=len(planned), unit="cell") as task:
        for cell in planned:
            settings = _cell_config(cell, config)
            with run.child(f"cells/{cell.name}", CELL_KIND, settings, {}) as own:
                if not own.finished:
                    _run_cell(own, real, generators, cell, config, compute, train, build)
                answers = _read_answers(own.path / PREDICTIONS_CSV, config.label)
            cells.append(CellResult(cell, target_plan(config, real, cell.arm), answers))
            atomic_write_text(run.path / CELLS_CSV, table_csv(_table(cells)))
            task.advance(note=cell.name)
    frames = [_frame(cell.answers).assign(cell=cell.cell.name) for cell in cells]
    atomic_write_text(run.path / PREDICTIONS_CSV, table_csv(pd.concat(frames, ignore_index=True)))
    analysis = analyse(cells, config)
    run.finish(analysis.summary())
    return AblationResult(config, tuple(cells), analysis)


def _cell_config(cell: Cell, config: AblateConfig) -> _CellConfig:
    return _CellConfig(
        arm=cell.arm.name,
        kind=cell.arm.kind,
        generator=cell.arm.generator,
        ratio=cell.arm.ratio,
        seed=cell.seed,
        ablation=config.model_dump(mode="json"),
    )


def _run_cell(
    run: RunDir,
    real: ImageSet,
    synthetic: Mapping[str, ImageSet],
    cell: Cell,
    config: AblateConfig,
    compute: Compute,
    train: TrainCell,
    build: BuildCell,
) -> None:
    built = run.path / "images"
    if built.is_dir():
        images = ImageSet.load(built)
    else:
        images = build(real, synthetic, cell, config, built, progress=SILENT)
    # One bar is shown, that of the cells.
    said = train(images, cell, config, run, compute=compute, progress=SILENT)
    ordered = HeldOutAnswers(said.validation.ordered(), said.test.ordered())
    atomic_write_text(run.path / PREDICTIONS_CSV, table_csv(_frame(ordered)))
    result = CellResult(cell, target_plan(config, real, cell.arm), ordered)
    run.finish({"validation": result.validation_metrics(), "test": result.test_metrics()})
    shutil.rmtree(built, ignore_errors=True)
    if not config.keep_models:
        for file in sorted(run.path.rglob("*.safetensors")):
            file.unlink()


def _table(cells: Sequence[CellResult]) -> pd.DataFrame:
    rows = []
    for result in cells:
        cell, made = result.cell, result.target
        row: dict[str, object] = {
            "cell": cell.name,
            "arm": cell.arm.name,
            "generator": cell.arm.generator,
            "ratio": cell.arm.ratio,
            "seed": cell.seed,
            "target_real": made.real,
            "target_synthetic": made.synthetic,
            "target_augmented": made.augmented_real + made.augmented_synthetic,
        }
        parts = {"val": result.validation_metrics(), "test": result.test_metrics()}
        for part, metrics in parts.items():
            row |= {f"{part}_{name}": metrics[name] for name in CELL_METRICS}
        row["test_f1_corrected_prior"] = result.f1_with_corrected_prior()
        rows.append(row)
    return pd.DataFrame(rows)


def _frame(said: HeldOutAnswers) -> pd.DataFrame:
    parts = {"val": said.validation, "test": said.test}
    frames = [answers.to_frame().assign(split=split) for split, answers in parts.items()]
    return pd.concat(frames, ignore_index=True)


def _read_answers(path: Path, label: str) -> HeldOutAnswers:
    return _held_out(read_text_table(path), label)


def _held_out(frame: pd.DataFrame, label: str) -> HeldOutAnswers:
    validation, test = (
        Answers.from_frame(frame[frame["split"] == split], label) for split in ("val", "test")
    )
    return HeldOutAnswers(validation, test)


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
    everything = read_text_table(run.path / PREDICTIONS_CSV)
    try:
        answers = {
            str(name): _held_out(frame, config.label)
            for name, frame in everything.groupby("cell", sort=False)
        }
        cells = tuple(
            _loaded_cell(row, answers, config)
            for row in read_text_table(run.path / CELLS_CSV).to_dict("records")
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"the tables of '{run.path}' are damaged: {error}") from error
    return AblationResult(config, cells, analyse(cells, config))


def _loaded_cell(
    row: Mapping[Any, str], answers: Mapping[str, HeldOutAnswers], config: AblateConfig
) -> CellResult:
    arm = AblationArm.of_name(row["arm"], row["generator"], float(row["ratio"]))
    made = plan_target(int(row["target_real"]), arm.ratio, config.multiplier, arm.kind)
    return CellResult(Cell(arm, int(row["seed"])), made, answers[row["cell"]])
