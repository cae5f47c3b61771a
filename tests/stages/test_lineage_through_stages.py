"""The README's own path leaks no test photograph: the holes that it once had, through stages and commands."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hzsynth as hz
from hzsynth.cli.main import run as command
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter

QUIET: dict[str, Any] = {"progress": False, "device": "cpu"}
TINY_GAN: dict[str, Any] = {
    "generator": "stylegan2",
    "discriminator": "stylegan2",
    "mapping_layers": 1,
    "resolution": 16,
    "channel_multiplier": 0.1,
    "batch": 4,
    "kimg": 0.008,
    "watch": False,
    "snapshot_samples": 4,
}
TINY_CYCLEGAN: dict[str, Any] = {"resolution": 32, "steps": 1, "objective": "cyclegan"}
LABEL = "herpes_zoster"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs in two divisions: what is held out by the one trains the other's generator."""
    root = tmp_path_factory.mktemp("lineage")
    patients = {"eczema": 8, LABEL: 8}
    images = hz.phantom(root / "photographs", patients=patients, size=32, progress=False)
    for name, seed in (("split", 0), ("other", 3)):
        hz.split(images, root / name, ratios=(50, 25, 25), seed=seed, workers=1, progress=False)
    for name, split in (("clean", "split"), ("leaky", "other")):
        gan = hz.train_gan(root / split, root / f"{name}-gan", label=LABEL, **TINY_GAN, **QUIET)
        hz.generate(gan, 12, root / f"{name}-generated", **QUIET)
    skin = hz.phantom(
        root / "korean", patients={"normal": 4}, cohorts=("korean",), size=32, progress=False
    )
    hz.train_cyclegan(
        root / "split", skin, root / "cyclegan", label=LABEL, **TINY_CYCLEGAN, **QUIET
    )
    for name in ("clean", "leaky"):
        model, made = root / "cyclegan", root / f"{name}-generated"
        hz.translate(model, made, root / f"{name}-translated", **QUIET)
    return root


def _build(real: Path, synthetic: Path, out: Path) -> ImageSet:
    return hz.build_dataset(
        real, synthetic, out, label=LABEL, ratio=1, multiplier=2, describe=False, workers=1, **QUIET
    )


def test_a_translated_image_of_a_leaking_generator_is_refused(root: Path, tmp_path: Path) -> None:
    _build(root / "split", root / "clean-translated", tmp_path / "clean")
    with pytest.raises(hz.RefusedError, match="descends from"):
        _build(root / "split", root / "leaky-translated", tmp_path / "leaky")


def test_the_command_refuses_it_with_its_exit_code(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["build-dataset", root / "split", "--synthetic", root / "leaky-translated"]
    arguments += ["--label", LABEL, "--out", tmp_path / "set", "--quiet", "--device", "cpu"]
    with pytest.raises(SystemExit) as end:
        command([str(argument) for argument in arguments])
    assert end.value.code == 3
    assert "descends from" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_a_translator_that_learned_from_a_leaking_generators_images_leaks(
    root: Path, tmp_path: Path
) -> None:
    source, target = root / "leaky-generated", root / "korean"
    translator = hz.train_cyclegan(source, target, tmp_path / "run", **TINY_CYCLEGAN, **QUIET)
    train = ImageSet.load(root / "split").select("train", LABEL)
    made = hz.translate(translator, train, tmp_path / "made", **QUIET)
    with pytest.raises(hz.RefusedError, match="descends from"):
        _build(root / "split", made.root, tmp_path / "set")


def test_raw_photographs_are_those_that_were_preprocessed(root: Path, tmp_path: Path) -> None:
    """Also where the patients have no names and the crops are beyond the hash."""
    nameless = tmp_path / "nameless"
    source = ImageSet.load(root / "split")
    with ImageSetWriter(nameless) as writer:
        writer.inherit(source)
        for record in source:
            writer.copy(source, record, group="")
    clean = hz.preprocess(nameless, tmp_path / "clean", size=16, workers=1, progress=False)
    held_out = clean.select("test", LABEL)
    with ImageSetWriter(tmp_path / "raw") as writer:
        for record in ImageSet.load(nameless).select("test", LABEL):
            writer.copy(ImageSet.load(nameless), record, split="")
    gan = hz.train_gan(tmp_path / "raw", tmp_path / "gan", label=LABEL, **TINY_GAN, **QUIET)
    made = hz.generate(gan, len(held_out) + 12, tmp_path / "made", **QUIET)
    with pytest.raises(hz.RefusedError, match="the same file|near-duplicate"):
        _build(clean.root, made.root, tmp_path / "set")


def test_a_classifier_that_learned_from_leaking_images_is_not_evaluated(
    root: Path, tmp_path: Path
) -> None:
    mixture = _build(root / "other", root / "leaky-generated", tmp_path / "mixture")
    settings: dict[str, Any] = {"label": LABEL, "size": 32, "steps": 2, "pretrained": "none"}
    classifier = hz.train_classifier(mixture, tmp_path / "classifier", **settings, **QUIET)
    seen = {image.sha256 for image in classifier.run.training_images()}
    assert {image.sha256 for images in mixture.lineage.values() for image in images} <= seen
    hz.evaluate(classifier, mixture, device="cpu")
    with pytest.raises(hz.RefusedError, match=r"the run classify-\w+ has seen"):
        hz.evaluate(classifier, root / "split", device="cpu")
    with pytest.raises(hz.RefusedError, match=r"the run classify-\w+ has seen"):
        hz.train_cyclegan(
            ImageSet.load(root / "split").select(label=LABEL),
            root / "korean",
            tmp_path / "cyclegan",
            masks=classifier,
            **TINY_CYCLEGAN,
            **QUIET,
        )
    assert not (tmp_path / "cyclegan").exists()


def test_what_travels_says_what_stands_behind(root: Path) -> None:
    translated = ImageSet.load(root / "clean-translated")
    generated = ImageSet.load(root / "clean-generated")
    assert {row.sha256 for row in translated.ancestors} == {r.sha256 for r in generated}
    assert np.all([row.run.startswith("gan-") for row in translated.ancestors])
    assert json.loads((root / "clean-gan" / "run.json").read_text())["id"] in translated.lineage
