import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hzsynth.ablate.analysis import analyse, choose_arm, choose_by_run
from hzsynth.ablate.cells import CellResult, HeldOutAnswers
from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import AblationArm, Cell
from hzsynth.ablate.report import write_ablation_report
from hzsynth.ablate.runner import AblationResult, load_ablation, run_ablation
from hzsynth.augment.mixture import ClassPlan
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord, TrainingImage, metadata_csv
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import numpy_generator
from hzsynth.statistics.answers import Answers
from tests.commands import hzsynth

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
    made = [
        ImageRecord(f"{i}.png", "hz", origin="stylegan2", sha256=f"made-{i}", run="gan")
        for i in range(40)
    ]
    return ImageSet(tmp_path, made, {"gan": (TrainingImage("elsewhere", "", ""),)})


class PlantedTraining:
    """Stands for build and training: the separation of the classes is known for every arm."""

    def __init__(self, gain: Gain, stop_after: int | None = None) -> None:
        self.gain, self.stop_after = gain, stop_after
        self.trained: list[str] = []

    def build(
        self, real: ImageSet, synthetic: Any, cell: Cell, config: Any, out: Path, *, progress: Any
    ) -> Any:
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

    def train(
        self, images: ImageSet, cell: Cell, config: Any, run: RunDir, *, compute: Any, progress: Any
    ) -> Any:
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
    assert result.analysis.decisive is not None
    assert run.result["effect"] == result.analysis.decisive.difference.estimate
    assert (run.result["effect"] > 0) == (gain > 0) or gain == 0


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


def _planted_cells(
    generator: np.random.Generator, part: ImageSet, arms: int, runs: int
) -> list[CellResult]:
    """Arms without any effect, whose trainings turn out better or worse on both parts alike."""
    target = np.array([record.label == "hz" for record in part])
    shared = generator.normal(size=(2, len(part)))
    cells = []
    for number in range(arms + 1):
        arm = AblationArm("augmented", "mixture")
        if number:
            arm = AblationArm(f"gan-ratio{number}", "mixture", "gan", number)
        for run in range(runs):
            luck = 1 + 0.6 * generator.normal()
            validation, test = (
                held_out_answers(
                    part, 1 / (1 + np.exp(-photographs - luck * target - noise)).astype(float)
                )
                for photographs, noise in zip(
                    shared, 0.2 * generator.normal(size=(2, len(part))), strict=True
                )
            )
            cells.append(CellResult(Cell(arm, run), ClassPlan(4), HeldOutAnswers(validation, test)))
    return cells


def test_choosing_among_twelve_arms_without_effect_makes_none(tmp_path: Path) -> None:
    part, generator = _photographs(tmp_path).select("test"), np.random.default_rng(0)
    honest, flattered, helps = [], [], 0
    studies = 12
    for _ in range(studies):
        cells = _planted_cells(generator, part, arms=12, runs=3)
        analysis = analyse(cells, SMALL)
        assert analysis.decisive is not None
        assert analysis.chosen is not None
        honest.append(analysis.decisive.difference.estimate)
        flattered.append(analysis.contrasts[analysis.chosen.name].difference.estimate)
        helps += analysis.verdict.answer == "helps"
    error = np.std(honest) / np.sqrt(studies)
    # Chosen on the very runs that are compared, an arm without effect gains .1 here.
    assert np.mean(flattered) > 0.06
    assert abs(np.mean(honest)) < 3 * error
    assert abs(np.mean(honest)) < np.mean(flattered) / 2
    # At 2.5 %, more than 2 of 12 have a probability below 1 %.
    assert helps <= 2


def test_the_arm_of_a_run_is_chosen_on_the_other_runs(tmp_path: Path) -> None:
    part = _photographs(tmp_path).select("val")
    target = np.array([record.label == "hz" for record in part]) * 1.0
    perfect, useless = held_out_answers(part, target), held_out_answers(part, 1 - target)
    names = ("gan-ratio1", "gan-ratio4")
    # Ratio 1 is perfect in runs 0 and 1, ratio 4 in run 2 only.
    cells = [
        CellResult(
            Cell(AblationArm(name, "mixture", "gan", float(name[-1])), run),
            ClassPlan(4),
            HeldOutAnswers(perfect if (run == 2) == (name == names[1]) else useless, useless),
        )
        for name in names
        for run in range(3)
    ]
    assert [arm.name for arm in choose_by_run(cells)] == ["gan-ratio1"] * 3
    assert choose_by_run(cells)[2].name == names[0]
    # Without run 0 it is one against one in run 1's eyes: equal, so the smaller ratio.
    assert choose_by_run([cell for cell in cells if cell.cell.seed > 0])[0].name == names[1]


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
    corrected = table[table["arm"] == "gan-ratio1"]["test_f1_corrected_prior"]
    row = arms.set_index("arm").loc["gan 1:1", "F1, prior from validation"]
    assert row == f"{corrected.mean():.3f} ± {corrected.std(ddof=1):.3f}"
    assert (run.path / "figures" / "ratios.png").is_file()
    json.dumps(run.result)
    elsewhere = write_ablation_report(run, result, tmp_path / "elsewhere")
    assert elsewhere == tmp_path / "elsewhere" / "report.html"
    assert elsewhere.read_bytes() == page.read_bytes()
    assert (tmp_path / "elsewhere" / "tables" / "arms.csv").is_file()


def test_a_plan_takes_its_spreads_from_a_pilot(tmp_path: Path) -> None:
    pilot, result = _run(tmp_path, PlantedTraining(_synthetic(0.5)), SMALL)
    contrast = result.analysis.decisive
    assert contrast is not None
    pixels = np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), dtype=np.uint8)
    with ImageSetWriter(tmp_path / "set") as writer:
        for number, picture in enumerate(pixels):
            split = ("train", "val", "test")[number % 3]
            writer.add(
                picture,
                label=("hz", "eczema")[number % 2],
                split=split,
                group=str(number),
                origin="real",
            )
    command = ("ablate", "plan", tmp_path / "set", "--label", "hz", "--ratios", "0")
    assumed = hzsynth(*command, "--json").result
    assert assumed["spreads"] == {"patient": 0.25, "run": 0.04, "source": "assumed"}
    said = " ".join(hzsynth(*command).out.split())
    assert "from patient to patient and by 0.04 from run to run (an assumption" in said
    piloted = hzsynth(*command, "--pilot", pilot.path, "--json").result
    assert piloted["spreads"]["source"] == "pilot"
    assert piloted["spreads"]["run"] == pytest.approx(np.std(contrast.by_run, ddof=1), rel=0.5)
    assert piloted["power"] != assumed["power"]
    assert "as the pilot saw it" in " ".join(hzsynth(*command, "--pilot", pilot.path).out.split())
    other = hzsynth(*command[:4], "eczema", *command[5:], "--pilot", pilot.path)
    assert other.code == 2
    assert "is an ablation of 'hz', not of 'eczema'" in " ".join(other.err.split())


def test_controls_alone_are_reported_without_an_answer(tmp_path: Path) -> None:
    config = AblateConfig(label="hz", ratios=(0,), seeds=1, replicates=200)
    run, result = _run(tmp_path, PlantedTraining(_synthetic(0.0)), config)
    assert result.analysis.chosen is None
    assert "Inconclusive" in write_ablation_report(run, result).read_text("utf-8")
