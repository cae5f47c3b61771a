"""What a mixture could teach besides the disease: counts, association and the probe."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.association import association
from hzsynth.data.sources.phantom import render_phantom
from hzsynth.score.mixture import describe_mixture, is_synthetic, probe_origin


@pytest.fixture
def rng() -> Any:
    return np.random.default_rng(0)


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 0.3, 0.7), (3.0, 0.99, 1.0)])
def test_the_probe_finds_a_difference_and_only_that(
    rng: np.random.Generator, shift: float, low: float, high: float
) -> None:
    photographs = torch.from_numpy(rng.normal(size=(40, 30)))
    synthetic = torch.from_numpy(rng.normal(size=(60, 30)))
    synthetic[:, :3] += shift
    probe = probe_origin(photographs, synthetic)
    assert low <= probe.auc <= high
    assert 0.35 < probe.floor < 0.65
    assert (probe.photographs, probe.synthetic) == (40, 60)


def test_association_by_hand() -> None:
    assert association([("a", "x"), ("b", "y")] * 50) == pytest.approx(1, abs=0.01)
    assert association([("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")] * 25) == 0
    assert association([("a", "x"), ("a", "y")]) == 0


def test_what_counts_as_synthetic() -> None:
    assert is_synthetic(ImageRecord("a", "z", origin="stylegan2", run="r"))
    assert is_synthetic(ImageRecord("a", "z", origin="augmented", run="r"))
    assert is_synthetic(ImageRecord("a", "z", origin="external"))
    assert not is_synthetic(ImageRecord("a", "z", origin="augmented"))
    assert not is_synthetic(ImageRecord("a", "z", origin="phantom"))


def test_a_mixture_is_described(sets: Any, tmp_path: Path) -> None:
    real, made = sets
    with ImageSetWriter(tmp_path / "mixed") as writer:
        for record in real:
            writer.copy(real, record)
        for record in made:
            writer.copy(made, record, split="train")
        for seed in range(9):
            pixels, _ = render_phantom("normal", "western", seed, 0, 64)
            writer.add(pixels, label="normal", split="train", origin="real")
        writer.inherit(made)
    report = describe_mixture(writer.images, "eczema", compute=CPU_FP32)
    assert report.made_of == {"eczema": {"real": 10, "stylegan2": 9}, "normal": {"real": 9}}
    assert report.synthetic_share == {"eczema": pytest.approx(9 / 19), "normal": 0}
    assert report.association > 0.3
    assert report.probe is None
    assert "too few" in report.sentence()
    alone = describe_mixture(real, "eczema", compute=CPU_FP32)
    assert alone.sentence().startswith("No synthetic images")
    assert alone.association == 0
