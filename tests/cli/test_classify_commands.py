"""hzsynth classify and ablate, at the smallest size."""

import csv
from pathlib import Path

import pytest

from hzsynth.core.run import RunDir
from tests.cli.conftest import LABEL, Made
from tests.cli.starting import starts
from tests.commands import hzsynth

CPU = ("--device", "cpu", "--json")


@starts("classify train")
def test_train(classifier: Made, split: Made) -> None:
    assert classifier.result["steps"] == 2
    assert classifier.result["training_images"] == sum(split.result["train"].values())
    assert RunDir.load(classifier.path).finished


def test_continue(tmp_path: Path, classifier: Made, split: Made) -> None:
    named = ("--continue", classifier.path, "--old", split.path, "--protect", "none", "--steps", 1)
    made = hzsynth("classify", "train", split.path, *named, "--out", tmp_path / "on", *CPU).result
    assert {"before", "after"} <= set(made)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--robust", "gnt", "--continue", "run"), "--robust does not go with --continue"),
        (("--old", "set"), "--old needs --continue RUN"),
    ],
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...], sentence: str) -> None:
    outcome = hzsynth("classify", "train", "set", *arguments, "--out", "run")
    assert (outcome.code, outcome.err) == (2, f"hzsynth: {sentence}\n")


@starts("classify kdect")
def test_kdect(tmp_path: Path, split: Made) -> None:
    small = ("--teacher-steps", 1, "--stage-steps", 1, "--size", 32, "--batch", 4)
    none = ("--pretrained", "none", "--teacher-pretrained", "none")
    one = ("--label", LABEL, "--teachers", "efficientnet-lite0", *none, *small)
    made = hzsynth("classify", "kdect", split.path, *one, "--out", tmp_path / "run", *CPU).result
    assert made["test"]["n"] == sum(split.result["test"].values())
    assert (tmp_path / "run" / "test").is_dir()


@starts("classify evaluate")
def test_evaluate(tmp_path: Path, classifier: Made, split: Made) -> None:
    named = (classifier.path, split.path, "--by", "label", "--out", tmp_path / "page")
    made = hzsynth("classify", "evaluate", *named, *CPU).result
    assert made["test"]["n"] == sum(split.result["test"].values())
    assert Path(made["page"]).is_file()
    assert len(made["parts"]) >= 1


@starts("classify compare")
def test_compare(tmp_path: Path, classifier: Made, other_classifier: Made, split: Made) -> None:
    runs = (classifier.path, other_classifier.path)
    named = ("--set", split.path, "--split", "train", "--out", tmp_path / "comparison")
    made = hzsynth("classify", "compare", *runs, *named, *CPU).result
    assert Path(made["page"]).is_file()


@starts("classify robustness")
def test_robustness(tmp_path: Path, classifier: Made, split: Made) -> None:
    named = (classifier.path, split.path, "--workers", 1, "--out", tmp_path / "robustness")
    made = hzsynth("classify", "robustness", *named, *CPU).result
    assert Path(made["page"]).is_file()


@starts("classify explain")
def test_explain(tmp_path: Path, classifier: Made, split: Made) -> None:
    named = (classifier.path, split.path, "--most", 2, "--out", tmp_path / "explanation")
    made = hzsynth("classify", "explain", *named, *CPU).result
    assert Path(made["page"]).is_file()
    assert len(made["photographs"]) == 2


@starts("classify predict")
def test_predict(tmp_path: Path, classifier: Made, photograph: Path) -> None:
    table = tmp_path / "predictions.csv"
    named = (classifier.path, photograph, "--out", table)
    made = hzsynth("classify", "predict", *named, *CPU).result
    with table.open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    (prediction,) = made["predictions"]
    assert row["predicted"] == prediction["predicted"] in (LABEL, "eczema")


def test_the_table_of_predictions_shows_probabilities(classifier: Made, photograph: Path) -> None:
    shown = hzsynth("classify", "predict", classifier.path, photograph, "--device", "cpu")
    assert shown.code == 0, shown.err
    assert "0." in shown.out or "%" in shown.out


@pytest.fixture(scope="module")
def ablation(root: Path, split: Made, generated: Made) -> Made:
    made = hzsynth("ablate", "run", *_design(root, split, generated), "--out", root / "ab", *CPU)
    return Made(root / "ab", made.result)


def _design(root: Path, split: Made, generated: Made) -> tuple[object, ...]:
    file = root / "ablation.toml"
    file.write_text(
        'controls = []\nreplicates = 200\nmultiplier = 3\n[classifier]\npretrained = "none"\n'
        'finetune = "full"\nbatch = 4\n'
    )
    named = ("--label", LABEL, "--generator", f"tiny={generated.path}", "--config", file)
    return (split.path, *named, "--ratios", "0,1", "--seeds", 2, "--size", 32, "--steps", 1)


@starts("ablate plan")
def test_plan_trains_nothing(root: Path, split: Made, generated: Made) -> None:
    made = hzsynth("ablate", "plan", *_design(root, split, generated), *CPU).result
    assert len(made["cells"]) == 4
    assert any(name.startswith("tiny") for name in made["cells"])


@starts("ablate run", "ablate report")
def test_run_and_report(tmp_path: Path, ablation: Made) -> None:
    assert Path(ablation.result["report"]).is_file()
    config = RunDir.load(ablation.path, "ablate").config
    # The file's table is kept beside what the options say.
    classifier = config["classifier"]
    assert (classifier["size"], classifier["steps"]) == (32, 1)
    assert (classifier["pretrained"], classifier["batch"]) == ("none", 4)
    named = ("ablate", "report", ablation.path, "--out", tmp_path / "elsewhere", "--json")
    made = hzsynth(*named).result
    assert Path(made["report"]) == tmp_path / "elsewhere" / "report.html"
    assert Path(made["report"]).is_file()
