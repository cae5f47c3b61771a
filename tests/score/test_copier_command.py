"""A generator that hands out its training photographs, scored by the README's command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from hzsynth.cli.main import app
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.sources.phantom import render_phantom
from hzsynth.score import scoring

_TRAINING, _HELD_OUT, _FAKES = 24, 12, 40


class Eighths:
    """Photographs by the mean colours of an eighth by an eighth, 192 numbers."""

    name, dim, preprocessing, weights = "eighths", 192, "none", ""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, 8).flatten(1)


@pytest.fixture(autouse=True)
def extractor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "create_extractor", lambda *a, **k: Eighths())


def phantom(patient: int) -> Any:
    return render_phantom("herpes_zoster", "western", patient, 0, 32)[0]


@pytest.fixture
def split(tmp_path: Path) -> Path:
    with ImageSetWriter(tmp_path / "split") as writer:
        for patient in range(_TRAINING + _HELD_OUT):
            where = "train" if patient < _TRAINING else "test"
            row: dict[str, Any] = {"label": "herpes_zoster", "split": where, "group": str(patient)}
            writer.add(phantom(patient), origin="real", **row)
    return writer.images.root


def slightly_changed(pixels: Any, rng: np.random.Generator) -> Any:
    lighter = np.clip(pixels * rng.uniform(0.97, 1.03) + rng.normal(0, 3, pixels.shape), 0, 255)
    return lighter.astype(np.uint8)


@pytest.mark.parametrize("made", ["copies", "slightly changed", "fresh"])
def test_copies_are_flagged_and_fresh_patients_are_not(
    tmp_path: Path, split: Path, made: str
) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / made / "herpes_zoster"
    folder.mkdir(parents=True)
    for number in range(_FAKES):
        pixels = phantom(number % _TRAINING if made != "fresh" else 1000 + number)
        if made == "slightly changed":
            pixels = slightly_changed(pixels, rng)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    out = tmp_path / "scores.json"
    named = ["score", str(split), str(tmp_path / made), "--label", "herpes_zoster"]
    done = CliRunner().invoke(app, [*named, "--no-cache", "--out", str(out)])
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    copied = made != "fresh"
    assert report["compared_with"] == "held-out"
    assert report["nearer_to_training"] == copied
    assert ("nearer to the training photographs than photographs of new" in done.output) == copied
    kid, precision = (
        next(s for s in report["scores"] if s["metric"].startswith(name))
        for name in ("kid", "precision")
    )
    assert (kid["n_real"], kid["n_training"], kid["n_fake"]) == (_HELD_OUT, _TRAINING, _FAKES)
    if copied:
        assert kid["against_training"] < 0 < kid["value"]
        assert precision["against_training"] == 1 >= precision["value"]
    else:
        assert not any(
            s["p_adjusted"] is not None and s["p_adjusted"] <= 0.05 for s in report["scores"]
        )
