"""hzsynth data and augment, at the smallest size."""

import json
import tomllib
from pathlib import Path

from hzsynth.core.image_set import ImageSet
from tests.cli.conftest import LABEL, Made
from tests.cli.starting import starts
from tests.commands import hzsynth

ONE = ("--workers", 1, "--json")


@starts("data import", "data split")
def test_import_and_split(photographs: Made, split: Made) -> None:
    images = ImageSet.load(photographs.path)
    assert photographs.result["images"] == len(images) == 21
    assert photographs.result["classes"] == {"eczema": 9, LABEL: 12}
    counts = [sum(split.result[part].values()) for part in ("train", "val", "test")]
    assert sum(counts) == 21
    assert counts[0] == len(ImageSet.load(split.path).select(split="train"))


def test_folds_hold_every_photograph_once_in_test(tmp_path: Path, photographs: Made) -> None:
    made = hzsynth("data", "split", photographs.path, "--folds", 3, "--out", tmp_path / "f", *ONE)
    folds = [ImageSet.load(Path(path)) for path in made.result["sets"]]
    tested = sorted(record.sha256 for fold in folds for record in fold.select(split="test"))
    assert tested == sorted(record.sha256 for record in ImageSet.load(photographs.path))


@starts("data inspect")
def test_inspect(tmp_path: Path, photographs: Made) -> None:
    found = hzsynth("data", "inspect", photographs.path, "--out", tmp_path / "look", *ONE).result
    assert found["files"] == 21
    assert Path(found["report"]).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@starts("data dedup")
def test_dedup_finds_the_copies_that_were_added(tmp_path: Path, photographs: Made) -> None:
    named = (photographs.path, "--out", tmp_path / "distinct", "--no-crops", *ONE)
    found = hzsynth("data", "dedup", *named).result
    assert (found["files"], found["distinct"], found["images"]) == (21, 21, 21)


@starts("data preprocess")
def test_preprocess(tmp_path: Path, photographs: Made) -> None:
    made = hzsynth(
        "data", "preprocess", photographs.path, "--size", 32, "--color", "shades-of-gray",
        "--out", tmp_path / "clean", *ONE,
    ).result  # fmt: skip
    assert made["images"] == 21
    assert {record.width for record in ImageSet.load(tmp_path / "clean")} == {32}


def test_the_flag_for_annotations_is_the_stronger_way(photographs: Made) -> None:
    shown = hzsynth("data", "preprocess", photographs.path, "--remove-annotations", "--dry-run")
    assert tomllib.loads(shown.out)["remove_annotations"] == "crop"


@starts("data merge")
def test_merge(tmp_path: Path, photographs: Made, generated: Made) -> None:
    merged = tmp_path / "merged"
    made = hzsynth("data", "merge", photographs.path, generated.path, "--out", merged, *ONE).result
    assert made["images"] == 21 + 12
    assert made["classes"] == {"eczema": 9, LABEL: 24}


@starts("data export")
def test_export(tmp_path: Path, photographs: Made) -> None:
    named = ("--to", "webdataset", "--shard-size", 10, "--out", tmp_path / "shards", "--json")
    made = hzsynth("data", "export", photographs.path, *named).result
    assert [name for name in made["files"] if name.endswith(".tar")]
    assert all((tmp_path / "shards" / name).is_file() for name in made["files"])


@starts("augment preview")
def test_preview(tmp_path: Path, split: Made) -> None:
    sheet = tmp_path / "preview.png"
    made = hzsynth(
        "augment", "preview", split.path, "--label", LABEL, "--strategies", "flip,noise",
        "--columns", 2, "--size", 32, "--out", sheet, "--json",
    ).result  # fmt: skip
    assert made == {"sheet": str(sheet), "photographs": 2}
    assert sheet.stat().st_size > 0


@starts("build-dataset")
def test_build_dataset(tmp_path: Path, split: Made, generated: Made) -> None:
    made = hzsynth(
        "build-dataset", split.path, "--synthetic", generated.path, "--label", LABEL, "--ratio", 1,
        "--multiplier", 3, "--write-augmented", "--no-report", "--out", tmp_path / "mixture", *ONE,
    ).result  # fmt: skip
    real = split.result["train"][LABEL]
    assert made[f"{LABEL} in train"] == {"phantom": real, "stylegan2": real, "augmented": real}


def test_settings_of_the_phantom_do_not_go_with_another_kind(photographs: Made) -> None:
    outcome = hzsynth("data", "import", "folder", photographs.path, "--logo-share", 0.5)
    assert (outcome.code, outcome.err) == (
        2,
        "hzsynth: --logo-share does not go with KIND folder\n",
    )


def test_json_is_the_only_thing_on_standard_output(photographs: Made, tmp_path: Path) -> None:
    named = ("data", "export", photographs.path, "--out", tmp_path / "shards", "--json")
    assert json.loads(hzsynth(*named).out)
