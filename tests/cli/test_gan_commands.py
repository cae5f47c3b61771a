"""hzsynth gan, cyclegan and score, at the smallest size."""

from pathlib import Path

from PIL import Image

from hzsynth.core.image_set import ImageSet
from hzsynth.gan.backends.stylegan2_pytorch.package import import_package
from tests.cli.conftest import LABEL, Made
from tests.cli.starting import starts
from tests.commands import hzsynth
from tests.gan.backends.test_stylegan2_pytorch import save_like_the_package

CPU = ("--device", "cpu", "--json")


@starts("gan train", "gan generate")
def test_train_and_generate(gan: Made, generated: Made, split: Made) -> None:
    assert (gan.result["labels"], gan.result["steps"]) == ([LABEL], 2)
    assert gan.result["training_images"] == split.result["train"][LABEL]
    images = ImageSet.load(generated.path)
    assert {(r.label, r.origin, r.width) for r in images} == {(LABEL, "stylegan2", 16)}
    assert len({record.sha256 for record in images}) == 12


@starts("gan interpolate")
def test_interpolate(tmp_path: Path, gan: Made) -> None:
    strip = tmp_path / "walk.png"
    named = ("--seeds", "0,1", "--frames", 3, "--out", strip)
    made = hzsynth("gan", "interpolate", gan.path, *named, *CPU).result
    assert made == {"file": str(strip), "pictures": 4}
    with Image.open(strip) as picture:
        assert picture.height >= 16


@starts("gan mix")
def test_mix(tmp_path: Path, gan: Made) -> None:
    grid = tmp_path / "styles.png"
    named = ("--seeds", "0,1", "--columns", "2,3", "--out", grid)
    made = hzsynth("gan", "mix", gan.path, *named, *CPU).result
    assert made["file"] == str(grid)
    assert grid.is_file()


def test_seeds_that_are_no_numbers_are_refused(tmp_path: Path, gan: Made) -> None:
    named = ("--columns", "a,b", "--out", tmp_path / "styles.png")
    outcome = hzsynth("gan", "mix", gan.path, *named)
    assert outcome.code == 2
    assert "--columns is a comma-separated list of whole numbers" in outcome.err


@starts("gan project")
def test_project(tmp_path: Path, gan: Made, photograph: Path) -> None:
    named = ("--steps", 2, "--candidates", 4, "--starts", 1, "--out", tmp_path / "projected")
    made = hzsynth("gan", "project", gan.path, photograph, *named, *CPU).result
    assert len(made["photographs"]) == 1
    assert list((tmp_path / "projected").iterdir())


@starts("gan export")
def test_export(tmp_path: Path, gan: Made) -> None:
    made = hzsynth("gan", "export", gan.path, "--out", tmp_path / "onnx", *CPU).result
    assert made["folder"] == str(tmp_path / "onnx")
    assert (tmp_path / "onnx" / "generator.onnx").is_file()


@starts("gan import")
def test_import(tmp_path: Path, split: Made) -> None:
    file = tmp_path / "models" / "default" / "model_7.pt"
    save_like_the_package(import_package(), file)
    named = (file, split.path, "--label", LABEL, "--out", tmp_path / "run")
    made = hzsynth("gan", "import", *named, *CPU).result
    assert made["training_images"] == split.result["train"][LABEL]
    drawn = hzsynth("gan", "generate", made["run"], "--count", 2, "--out", tmp_path / "set", *CPU)
    assert drawn.result["labels"] == [LABEL]


@starts("cyclegan train")
def test_cyclegan_train(tmp_path: Path, split: Made) -> None:
    named = ("--label", LABEL, "--target-label", "eczema", "--out", tmp_path / "run")
    small = (
        "--objective",
        "cyclegan",
        "--resolution",
        32,
        "--steps",
        2,
        "--width",
        4,
        "--blocks",
        1,
        "--snapshots",
        1,
    )
    made = hzsynth("cyclegan", "train", split.path, split.path, *named, *small, *CPU).result
    assert made["steps"] == 2
    assert (tmp_path / "run" / "finished.json").is_file()


@starts("score")
def test_score(tmp_path: Path, split: Made, generated: Made) -> None:
    named = (split.path, generated.path, "--label", LABEL, "--metrics", "tone", "--no-cache")
    made = hzsynth("score", *named, "--out", tmp_path / "scores.json", *CPU).result
    assert [score["metric"] for score in made["scores"]]
    assert (tmp_path / "scores.json").is_file()
