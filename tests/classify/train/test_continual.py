"""Going on with a new set: what grows, what is held, what is measured, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.classify.evaluate.continued import measure_known
from hzsynth.classify.models import head_of, load_classifier
from hzsynth.classify.train.config import ContinueConfig
from hzsynth.classify.train.continual import ContinuedResult, continue_training
from hzsynth.classify.train.loading import load_training_data
from hzsynth.classify.train.new_classes import grown
from hzsynth.classify.train.protection import Anchored, fisher_information
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from tests.augment.conftest import picture
from tests.classify.conftest import StopsAt, classify_config, spotted

from .test_classifier import assert_equal_runs, train


@pytest.fixture
def newer(tmp_path: Path) -> ImageSet:
    """A new class and more zoster, of other patients; pictures that are no spots."""
    with ImageSetWriter(tmp_path / "newer") as writer:
        seed = 700
        for split, count in (("train", 6), ("val", 2), ("test", 2)):
            for label in ("tinea", "zoster"):
                for _ in range(count):
                    seed += 1
                    shown = picture(seed, 24)
                    shown[:8] = (200, 40, 40) if label == "zoster" else (30, 30, 30)
                    writer.add(
                        shown, label=label, split=split, group=f"newer-{seed}", origin="real"
                    )
    return writer.images


@pytest.fixture
def started(tmp_path: Path, photographs: ImageSet, weights: Path) -> RunDir:
    train(tmp_path / "started", photographs, classify_config(weights))
    return RunDir.load(tmp_path / "started")


def _go_on(
    path: Path,
    started: RunDir,
    new: ImageSet,
    old: ImageSet | None,
    progress: Any = None,
    **changes: Any,
) -> ContinuedResult:
    settings = {"steps": 6, "batch": 6, "evaluate_every": 3, "checkpoint_seconds": 1e6, **changes}
    config = ContinueConfig.from_sources(None, settings)
    options = {} if progress is None else {"progress": progress}
    with RunDir.start(path, "classify", config, {"images": new.digest}) as run:
        return continue_training(started, new, old, config, run, measure=measure_known, **options)


def test_the_head_grows_and_old_answers_stay(started: RunDir, photographs: ImageSet) -> None:
    classifier = load_classifier(started)
    labels = ("eczema", "psoriasis", "zoster")
    network = grown(classifier, labels).eval()
    pixels = load_pixels(photographs, 32).float() / 255
    with torch.no_grad():
        before, after = classifier.network(pixels), network(pixels)
    torch.testing.assert_close(after[:, [0, 2]], before)
    assert after[:, 1].abs().max() == 0


@pytest.mark.parametrize("protect", ["replay", "l2-sp", "ewc", "none"])
def test_both_sets_are_measured_before_and_after(
    protect: str, tmp_path: Path, started: RunDir, photographs: ImageSet, newer: ImageSet
) -> None:
    result = _go_on(tmp_path / "run", started, newer, photographs, protect=protect)
    assert result.labels == ("eczema", "tinea", "zoster")
    # It did not know tinea: nothing can be said of the new set before.
    assert set(result.before) == {"old"}
    assert set(result.after) == {"old", "new"}
    after = load_classifier(RunDir.load(tmp_path / "run"))
    assert after.labels == result.labels
    seen = {image.sha256 for image in RunDir.load(tmp_path / "run").training_images()}
    assert {r.sha256 for r in photographs.select("train")} <= seen
    assert {r.sha256 for r in newer.select("train")} <= seen


def test_replay_resumes_exactly(
    tmp_path: Path, started: RunDir, photographs: ImageSet, newer: ImageSet
) -> None:
    for protect in ("replay", "ewc"):
        whole = _go_on(tmp_path / protect, started, newer, photographs, protect=protect)
        cut = tmp_path / f"{protect}-cut"
        with pytest.raises(KeyboardInterrupt):
            _go_on(cut, started, newer, photographs, StopsAt("going on", 4), protect=protect)
        resumed = _go_on(cut, started, newer, photographs, protect=protect)
        assert_equal_runs(whole.run, resumed.run)


def test_replay_keeps_what_is_forgotten_without(
    tmp_path: Path, started: RunDir, photographs: ImageSet, newer: ImageSet
) -> None:
    losses = {}
    truth = [("eczema", "tinea", "zoster").index(r.label) for r in photographs.select("train")]
    for protect in ("replay", "none"):
        _go_on(
            tmp_path / protect, started, newer, photographs, protect=protect,
            steps=30, learning_rate=3e-3, evaluate_every=30, average=False,
        )  # fmt: skip
        after = load_classifier(RunDir.load(tmp_path / protect))
        chances = after.probabilities(load_pixels(photographs.select("train"), 32))
        right = chances[np.arange(len(truth)), truth]
        losses[protect] = -np.log(np.clip(right, 1e-9, 1)).mean()
    assert losses["replay"] < 0.7 * losses["none"]


def test_the_penalty_and_the_importance_by_hand(started: RunDir, photographs: ImageSet) -> None:
    classifier = load_classifier(started)
    network = classifier.network
    data = load_training_data(photographs, 32, "zoster").train
    importance = fisher_information(classifier.pixel_network(CPU_FP32), data)
    counts = sum(kept.numel() for kept in importance)
    assert sum(float(kept.sum()) for kept in importance) / counts == pytest.approx(1, rel=1e-4)
    assert all(kept.min() >= 0 for kept in importance)
    loss = Anchored(lambda step: {"loss": torch.zeros(())}, network, importance, 2.0)
    assert loss(0)["loss"].item() == 0
    with torch.no_grad():
        head_of(network).bias.add_(0.5)
    bias = next(n for n, p in enumerate(network.parameters()) if p is head_of(network).bias)
    assert loss(0)["loss"].item() == pytest.approx(0.25 * float(importance[bias].sum()), rel=1e-4)


def test_what_cannot_be_gone_on_with_is_refused(
    tmp_path: Path, started: RunDir, photographs: ImageSet, newer: ImageSet
) -> None:
    with pytest.raises(InputError, match="needs `old`"):
        _go_on(tmp_path / "a", started, newer, None, protect="replay")
    held_out = photographs.select("test").records[0]
    with ImageSetWriter(tmp_path / "leaking") as writer:
        for record in newer:
            writer.copy(newer, record)
        number = int(held_out.group.removeprefix("patient-"))
        writer.add(
            spotted(number, held_out.label), label="zoster", split="train", group="x", origin="real"
        )
    with pytest.raises(RefusedError):
        _go_on(tmp_path / "b", started, writer.images, photographs)
