import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hzsynth.ablate.analysis import analyse, choose_arm
from hzsynth.ablate.cells import CellResult, HeldOutAnswers
from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import AblationArm, Cell
from hzsynth.ablate.report import write_ablation_report
from hzsynth.ablate.runner import AblationResult, load_ablation, run_ablation
from hzsynth.augment.mixture import ClassPlan
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord, metadata_csv
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import numpy_generator
from hzsynth.statistics.answers import Answers

Gain = Callable[[AblationArm], float]


def _photographs(tmp_path: Path) -> ImageSet:
    records = [
        ImageRecord(
            f"{split}-{label}-{i}.png",
            label,
            split,
            group=f"{split}-{label}-{i // 2}",
            sha256=f"{split}-{label}-{i}",
        )
        for split, size in (("train", 4), ("val", 10), ("test", 30))
        for label, share in (("hz", 1), ("eczema", 2))
        for i in range(size * share)
    ]
    return ImageSet(tmp_path, records)


def _generated(tmp_path: Path) -> ImageSet:
    return ImageSet(
        tmp_path, [ImageRecord(f"{i}.png", "hz", origin="stylegan2") for i in range(40)]
    )


class PlantedTraining:
    """Stands for build and training: the separation of the classes is known for every arm."""

    def __init__(self, gain: Gain, stop_after: int | None = None) -> None:
        self.gain, self.stop_after = gain, stop_after
        self.trained: list[str] = []

    def build(self, real: ImageSet, synthetic, cell: Cell, config, out: Path, *, progress):  # type: ignore[no-untyped-def]
        out.mkdir(parents=True)
        (out / "metadata.csv").write_text(metadata_csv(real), encoding="utf-8")
        return ImageSet.load(out)

    def answers(self, images: ImageSet, split: str, cell: Cell) -> Answers:
        part = images.select(split)
        target = np.array([record.label == "hz" for record in part])
        shared = numpy_generator(0, "photographs", split).normal(size=len(part))
        own = numpy_generator(cell.seed, cell.arm.name, split).normal(size=len(part))
        value = shared + 0.3 * own + (1.0 + self.gain(cell.arm)) * target
        return held_out_answers(part, 1 / (1 + np.exp(1 - value)))

    def train(self, images: ImageSet, cell: Cell, config, run: RunDir, *, compute, progress):  # type: ignore[no-untyped-def]
        if self.stop_after is not None and len(self.trained) == self.stop_after:
            raise KeyboardInterrupt
        self.trained.append(cell.name)
        return HeldOutAnswers(self.answers(images, "val", cell), self.answers(images, "test", cell))


def held_out_answers(part: ImageSet, score: np.ndarray) -> Answers:
    return Answers(
        images=tuple(record.sha256 for record in part),
        patients=tuple(record.group for record in part),
        truth=np.array([int(record.label == "hz") for record in part]),
        probabilities=np.stack([1 - score, score], axis=1),
        labels=("eczema", "hz"),
        label="hz",
    )


CONFIG = AblateConfig(label="hz", ratios=(1, 4), seeds=3, replicates=400)
SMALL = AblateConfig(
    label="hz", ratios=(1,), controls=("real",), generators=("gan",), seeds=3, replicates=200
)


def _run(
    tmp_path: Path,
    training: PlantedTraining,
    config: AblateConfig = CONFIG,
    name: str = "run",
    force: bool = False,
) -> tuple[RunDir, AblationResult]:
    run = RunDir.start(tmp_path / name, "ablate", config, {"images": "x"}, force=force)
    try:
        result = run_ablation(
            _photographs(tmp_path),
            {"gan": _generated(tmp_path), "cycle": _generated(tmp_path)},
            config,
            run,
            train=training.train,
            build=training.build,
        )
    finally:
        run.close()
    return run, result


def _synthetic(gain: float) -> Gain:
    return lambda arm: gain if arm.generator else 0.0


@pytest.mark.parametrize(
    ("gain", "answer"), [(2.0, "helps"), (-2.0, "hurts"), (0.0, "inconclusive")]
)
def test_planted_scenes_get_the_verdict_that_was_planted(
    tmp_path: Path, gain: float, answer: str
) -> None:
    run, result = _run(tmp_path, PlantedTraining(_synthetic(gain)))
    assert result.analysis.verdict.answer == answer
    assert run.finished
    assert run.result["verdict"] == answer
    assert run.result["test_positives"] == 30
    assert (run.result["effect"] > 0) == (
        result.analysis.contrasts[run.result["arm"]].by_run[0] > 0
    ) or gain == 0


def test_noise_seldom_gets_an_answer(tmp_path: Path) -> None:
    photographs, training = _photographs(tmp_path), PlantedTraining(_synthetic(0.0))
    answers = []
    for trial in range(12):
        cells = []
        for arm in (AblationArm("augmented", "mixture"), AblationArm("gan", "mixture", "gan", 1)):
            for seed in range(3):
                # Another number is another draw of the noise.
                said = training.train(
                    photographs,
                    Cell(arm, seed + 100 * trial),
                    SMALL,
                    None,  # type: ignore[arg-type]
                    compute=None,
                    progress=None,
                )
                cells.append(CellResult(Cell(arm, seed), ClassPlan(4), said))
        answers.append(analyse(cells, SMALL).verdict.answer)
    # At a rate of 5 %, four or more of twelve have a probability below 1 %.
    assert sum(answer != "inconclusive" for answer in answers) <= 3


def test_the_ratio_is_chosen_on_validation_only(tmp_path: Path) -> None:
    training = PlantedTraining(_synthetic(0.0))
    original = training.answers

    def flattering(images: ImageSet, split: str, cell: Cell) -> Answers:
        # On the test images gan 4:1 is perfect; on validation cycle 1:1 is.
        best = {"val": "cycle-ratio1", "test": "gan-ratio4"}[split]
        said = original(images, split, cell)
        if cell.arm.name != best:
            return said
        return held_out_answers(images.select(split), said.is_target * 1.0)

    training.answers = flattering  # type: ignore[method-assign]
    _, result = _run(tmp_path, training)
    assert result.analysis.chosen is not None
    assert result.analysis.chosen.name == "cycle-ratio1"
    assert result.analysis.verdict.answer == "inconclusive"


def test_of_equal_arms_the_smaller_ratio_is_chosen(tmp_path: Path) -> None:
    part = _photographs(tmp_path).select("val")
    perfect = held_out_answers(part, np.array([record.label == "hz" for record in part]) * 1.0)
    cells = [
        CellResult(Cell(arm, 0), ClassPlan(4), HeldOutAnswers(perfect, perfect))
        for arm in (
            AblationArm("augmented", "mixture"),
            AblationArm("gan-ratio4", "mixture", "gan", 4),
            AblationArm("gan-ratio1", "mixture", "gan", 1),
        )
    ]
    chosen = choose_arm(cells)
    assert chosen is not None
    assert chosen.ratio == 1
    assert choose_arm(cells[:1]) is None


def test_every_cell_is_recorded_with_its_make_up(tmp_path: Path) -> None:
    run, result = _run(tmp_path, PlantedTraining(_synthetic(0.5)))
    cells = pd.read_csv(run.path / "cells.csv", keep_default_na=False)
    assert len(cells) == 6 * 3
    made = cells.drop_duplicates("arm").set_index("arm")
    columns = ["target_real", "target_synthetic", "target_augmented"]
    assert made.loc["real", columns].tolist() == [4, 0, 0]
    assert made.loc["augmented", columns].tolist() == [4, 0, 36]
    assert made.loc["gan-ratio4", columns].tolist() == [4, 16, 20]
    said = pd.read_csv(run.path / "predictions.csv")
    assert len(said) == 18 * (30 + 90)
    assert not list((run.path / "cells").glob("*/images"))
    pd.testing.assert_frame_equal(cells, result.table(), check_dtype=False)


@pytest.mark.parametrize("stop_after", [1, 5])
def test_an_interrupted_ablation_goes_on_and_ends_the_same(tmp_path: Path, stop_after: int) -> None:
    whole = PlantedTraining(_synthetic(0.5))
    run, result = _run(tmp_path, whole, SMALL, name="whole")
    stopped = PlantedTraining(_synthetic(0.5), stop_after=stop_after)
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, stopped, SMALL, name="stopped")
    resumed = PlantedTraining(_synthetic(0.5))
    again, second = _run(tmp_path, resumed, SMALL, name="stopped")
    assert stopped.trained + resumed.trained == whole.trained
    assert len(stopped.trained) == stop_after
    for name in ("cells.csv", "predictions.csv"):
        assert (again.path / name).read_bytes() == (run.path / name).read_bytes()
    assert second.analysis.summary() == result.analysis.summary()


def test_cells_of_an_earlier_run_are_not_taken_over(tmp_path: Path) -> None:
    _run(tmp_path, PlantedTraining(_synthetic(-2.0)), SMALL)
    fresh = PlantedTraining(_synthetic(2.0))
    _, result = _run(tmp_path, fresh, SMALL, force=True)
    assert len(fresh.trained) == 9
    assert result.analysis.verdict.answer == "helps"


def test_a_finished_ablation_is_read_back_equal(tmp_path: Path) -> None:
    run, result = _run(tmp_path, PlantedTraining(_synthetic(0.5)), SMALL)
    loaded = load_ablation(RunDir.load(run.path))
    assert loaded.config == result.config
    assert loaded.analysis.summary() == result.analysis.summary() == run.result
    pd.testing.assert_frame_equal(loaded.table(), result.table())
    with pytest.raises(InputError, match="expected 'ablate'"):
        load_ablation(RunDir.load(run.path / "cells" / "real-seed0"))


def test_an_unfinished_ablation_cannot_be_reported(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, PlantedTraining(_synthetic(0.5), stop_after=2), SMALL)
    with pytest.raises(InputError, match="not finished"):
        load_ablation(RunDir.load(tmp_path / "run"))


def test_the_report_states_verdict_n_seeds_and_spread(tmp_path: Path) -> None:
    run, result = _run(tmp_path, PlantedTraining(_synthetic(2.0)))
    page = write_ablation_report(run, result)
    html = page.read_text("utf-8")
    assert result.analysis.verdict.sentence in html
    assert "30 test positives of 90" in html
    assert "±" in html
    assert 'class="verdict good"' in html
    for name in ("arms", "contrasts"):
        assert (run.path / "tables" / f"{name}.tex").read_text("utf-8").startswith(r"\begin{table}")
    arms = pd.read_csv(run.path / "tables" / "arms.csv")
    assert len(arms) == 6
    table = result.table()
    expected = table[table["arm"] == "gan-ratio1"]["test_average_precision_target"]
    row = arms.set_index("arm").loc["gan 1:1", "average precision"]
    assert row == f"{expected.mean():.3f} ± {expected.std(ddof=1):.3f}"
    assert (run.path / "figures" / "ratios.png").is_file()
    json.dumps(run.result)
    elsewhere = write_ablation_report(run, result, tmp_path / "elsewhere")
    assert elsewhere == tmp_path / "elsewhere" / "report.html"
    assert elsewhere.read_bytes() == page.read_bytes()
    assert (tmp_path / "elsewhere" / "tables" / "arms.csv").is_file()


def test_controls_alone_are_reported_without_an_answer(tmp_path: Path) -> None:
    config = AblateConfig(label="hz", ratios=(0,), seeds=1, replicates=200)
    run, result = _run(tmp_path, PlantedTraining(_synthetic(0.0)), config)
    assert result.analysis.chosen is None
    assert "Inconclusive" in write_ablation_report(run, result).read_text("utf-8")
