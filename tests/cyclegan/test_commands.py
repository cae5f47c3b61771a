"""The commands end to end, and what an interruption leaves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.cli.main import run
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.progress import Progress
from hzsynth.core.run import RunDir
from hzsynth.cyclegan import comparison, evaluation, judging, translation
from hzsynth.cyclegan.config import CycleGanConfig, TransplantConfig
from hzsynth.cyclegan.training import train_cyclegan
from hzsynth.cyclegan.transplant_set import transplant_images
from tests.cli.starting import starts

CONFIG = {
    "objective": "cyclegan",
    "resolution": 32,
    "steps": 3,
    "width": 4,
    "blocks": 1,
    "discriminator_width": 4,
}


def write_set(path: Any, colour: Any, lesions: Any, count: Any = 8) -> Any:
    rng = np.random.default_rng(int(lesions))
    with ImageSetWriter(path) as writer:
        for i in range(count):
            noisy = np.array(colour) + rng.normal(0, 6, (48, 48, 3))
            pixels = np.clip(noisy, 0, 255).astype(np.uint8)
            mask = np.zeros((48, 48), bool)
            if lesions:
                top, left = rng.integers(12, 20, 2)
                mask[top : top + 10 + i, left : left + 18 - i] = True
                pixels[mask] = (190, 80, 80)
            writer.add(
                pixels,
                label="zoster" if lesions else "normal",
                group=f"{path.name}-{i}",
                origin="real",
                mask=mask if lesions else None,
            )
    return writer.images


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("commands")
    source = write_set(root / "source", (225, 180, 155), True)
    target = write_set(root / "target", (190, 145, 110), False)
    config = CycleGanConfig(**CONFIG)
    with RunDir.start(root / "run", "cyclegan", config, {}) as started:
        train_cyclegan(source, target, config, started, compute=CPU_FP32)
    return root


def call(capsys: Any, *arguments: Any) -> Any:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


class MeanColours:
    """Features that cost nothing: the mean colours of a picture's quarters."""

    name, dim, preprocessing, weights = "mean-colours", 12, "none", ""

    def __call__(self, pixels: Any) -> Any:
        return torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, 2).flatten(1)


@starts("cyclegan compare")
def test_compare_writes_its_page_and_its_gate_ends_with_3(
    trained: Any,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (comparison, judging):
        monkeypatch.setattr(module, "create_extractor", lambda *_, **__: MeanColours())
    monkeypatch.setattr(evaluation, "feature_distance", lambda *_: 0.0)
    common = (trained / "run", trained / "source", trained / "target", "--device", "cpu")
    out = tmp_path / "compared"
    code, said, errors = call(
        capsys, "cyclegan", "compare", *common, "--out", out, "--gate", "--json", "--quiet"
    )
    result = json.loads(said)
    # Three steps make no model: nobody may recommend it.
    assert code == 3, errors
    assert result["passed"] is False
    assert result["recommendation"] in errors
    assert {f.name for f in out.iterdir()} == {"report.html", "comparison.csv", "comparison.json"}
    assert [row["method"] for row in result["rows"]][-3:] == [
        "cyclegan",
        "transplant",
        "transplant + cyclegan",
    ]
    code, _, errors = call(capsys, "cyclegan", "compare", *common, "--out", out)
    assert code == 2
    assert "already exists" in errors


@starts("cyclegan transplant", "cyclegan translate")
def test_transplant_writes_a_set_that_translate_takes_on(
    trained: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    laid, harmonised = tmp_path / "laid", tmp_path / "harmonised"
    code, said, errors = call(
        capsys, "cyclegan", "transplant", trained / "source", trained / "target",
        "--count", 5, "--out", laid, "--json", "--quiet",
    )  # fmt: skip
    assert code == 0, errors
    assert json.loads(said)["images"] == 5
    code, said, errors = call(
        capsys, "cyclegan", "translate", trained / "run", laid, "--out", harmonised,
        "--device", "cpu", "--json", "--quiet",
    )  # fmt: skip
    assert code == 0, errors
    result = json.loads(said)
    assert result["lesions kept"] + result["lesions lost"] + result["unknown"] == 5
    before, after = ImageSet.load(laid), ImageSet.load(harmonised)
    assert [r.parents for r in after] == [(r.sha256,) for r in before]
    assert {r.run for r in before} <= set(after.lineage)


def test_semantic_without_classifier_and_a_wrong_class_are_refused(
    trained: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sets = (trained / "source", trained / "target")
    code, _, errors = call(
        capsys,
        "cyclegan",
        "train",
        *sets,
        "--objective",
        "cyclegan",
        "--preserve",
        "semantic",
        "--out",
        tmp_path / "run",
    )
    assert code == 2
    assert "--classifier" in errors
    code, _, errors = call(
        capsys, "cyclegan", "transplant", *sets, "--label", "acne", "--out", tmp_path / "set"
    )
    assert code == 2
    assert "zoster" in errors
    assert not any(tmp_path.iterdir())


class StopAfter(Progress):
    """Interrupts like ctrl-C after some images."""

    def __init__(self, images: Any) -> None:
        self._left = images

    def task(self, *args: Any, **kwargs: Any) -> Any:
        outer = self

        class Task:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *error: Any) -> Any:
                return None

            def advance(self, amount: Any = 1, note: Any = "") -> None:
                outer._left -= 1
                if outer._left == 0:
                    raise KeyboardInterrupt

        return Task()


def test_an_interrupted_translation_goes_on_where_it_stopped(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, trained_run = ImageSet.load(trained / "source"), RunDir.load(trained / "run")
    whole = translation.translate(trained_run, source, tmp_path / "whole", compute=CPU_FP32)
    with pytest.raises(KeyboardInterrupt):
        translation.translate(
            trained_run, source, tmp_path / "parts", compute=CPU_FP32, progress=StopAfter(5)
        )
    assert not (tmp_path / "parts").exists()
    calls = []
    original = translation.translate_pixels

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return original(*arguments, **named)

    monkeypatch.setattr(translation, "translate_pixels", counted)
    parts = translation.translate(trained_run, source, tmp_path / "parts", compute=CPU_FP32)
    assert parts.records == whole.records
    assert len(calls) == len(source) - 5


def test_an_interrupted_transplant_ends_as_the_uninterrupted_one(
    trained: Any, tmp_path: Path
) -> None:
    sets = ImageSet.load(trained / "source"), ImageSet.load(trained / "target")
    config = TransplantConfig(count=6)
    whole = transplant_images(*sets, config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        transplant_images(*sets, config, tmp_path / "parts", progress=StopAfter(3))
    left = next(tmp_path.glob(".parts*"))
    first = sorted(left.rglob("images/**/*.png"))[0]
    written = first.stat().st_mtime_ns
    parts = transplant_images(*sets, config, tmp_path / "parts")
    assert parts.records == whole.records
    assert (parts.root / first.relative_to(left)).stat().st_mtime_ns == written
