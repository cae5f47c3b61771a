"""Whatever photographs are given, each metric gives its figure or says in one sentence why not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.score import scoring
from hzsynth.score.catalogue import MetricName
from hzsynth.score.config import ScoreConfig
from hzsynth.score.scoring import score_images


class Corners:
    """A tiny extractor: the mean colour of each quarter, 12 numbers."""

    name, dim, preprocessing, weights = "corners", 12, "none", ""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, 2).flatten(1)


@pytest.fixture(autouse=True)
def extractor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "create_extractor", lambda *a, **k: Corners())


def write(path: Path, splits: tuple[str, ...], *, origin: str = "real", seed: int = 0) -> ImageSet:
    """One skin-coloured picture of noise a split, each of a patient of its own."""
    rng = np.random.default_rng(seed)
    with ImageSetWriter(path) as writer:
        for number, split in enumerate(splits):
            colour = np.array([216, 166, 133]) * rng.uniform(0.93, 1.07)
            pixels = np.clip(colour + rng.normal(0, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
            run = "" if origin == "real" else "r"
            own: dict[str, Any] = {"group": f"{seed}-{number}", "split": split, "run": run}
            writer.add(pixels, label="zoster", origin=origin, **own)
    return writer.images


_CLOSENESS: tuple[MetricName, ...] = ("kid", "frechet", "prdc", "vendi", "tone")
_TRAINING = ("train",) * 20


@pytest.mark.parametrize("metric", _CLOSENESS)
@pytest.mark.parametrize(
    "splits", [("test",) * 8, ("val",) * 8, _TRAINING, ("",) * 8, (*_TRAINING, *("test",) * 8)]
)
def test_figures_are_given_of_any_part(
    tmp_path: Path, metric: MetricName, splits: tuple[str, ...]
) -> None:
    real = write(tmp_path / "real", splits)
    fake = write(tmp_path / "fake", ("",) * 12, origin="light", seed=1)
    report = score_images(real, fake, ScoreConfig(metrics=(metric,)), compute=CPU_FP32)
    assert all(np.isfinite(score.value) for score in report.scores)
    assert report.scores
    assert not report.unavailable
    both = {"train", "test"} <= set(splits)
    assert all((score.against_training is not None) == both for score in report.scores)
    assert bool(report.remarks) == (not {"test", "val"} & set(splits))


@pytest.mark.parametrize("metric", [*_CLOSENESS, "frechet-infinity", "palate", "memorisation"])
@pytest.mark.parametrize(
    "splits",
    [("test",) * 8, ("train",) * 8, ("",) * 8, ("test",) * 2, (*_TRAINING, "test"), ("test",)],
)
def test_what_cannot_be_given_says_why_in_one_sentence(
    tmp_path: Path, metric: MetricName, splits: tuple[str, ...]
) -> None:
    real = write(tmp_path / "real", splits)
    fake = write(tmp_path / "fake", ("",) * 12, origin="light", seed=1)
    try:
        report = score_images(real, fake, ScoreConfig(metrics=(metric,)), compute=CPU_FP32)
    except InputError as error:
        assert len(real) == 1
        reasons = [str(error)]
    else:
        reasons = [missing.sentence() for missing in report.unavailable]
        assert reasons or report.scores or report.memorisation
    for reason in reasons:
        assert len(reason) > 20
        assert "\n" not in reason


def test_one_held_out_photograph_leaves_what_can_be_told(tmp_path: Path) -> None:
    real = write(tmp_path / "real", (*_TRAINING, "test"))
    fake = write(tmp_path / "fake", ("",) * 12, origin="light", seed=1)
    report = score_images(real, fake, ScoreConfig(), compute=CPU_FP32)
    assert [score.kind for score in report.scores] == ["tone-distance"]
    assert [missing.metric for missing in report.unavailable] == ["kid", "prdc"]
    assert report.memorisation is not None
    assert report.memorisation.n_reference == 1
