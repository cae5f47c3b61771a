"""Two processes learn what one with the same global batch learns."""

import json
from pathlib import Path

import pytest
import torch

from hzsynth.classify.evaluate.continued import measure_known
from hzsynth.classify.models import PixelNetwork, load_classifier, normalisation
from hzsynth.classify.train.adversarial_noise import AdversarialNoise
from hzsynth.classify.train.batches import Batches, Share, share_of
from hzsynth.classify.train.classifier import train_classifier
from hzsynth.classify.train.config import ContinueConfig
from hzsynth.classify.train.continual import continue_training
from hzsynth.classify.train.distillation import Teacher, TeacherAnswers
from hzsynth.classify.train.kdect import train_kdect
from hzsynth.classify.train.loading import load_training_data
from hzsynth.core.config import Config
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from tests.classify.conftest import MODEL, classify_config, kdect_config, tiny_network
from tests.launching import launched

pytestmark = pytest.mark.slow


def by_two(command: str, images: ImageSet, out: Path, config: Config, *more: object) -> RunDir:
    file = out.with_suffix(".toml")
    config.save(file)
    lines = launched(
        "classify", command, images.root, "--out", out, "--config", file, "--json", *more
    )
    results = [line for line in lines if line.startswith("{")]
    assert len(results) == 1  # one process speaks for all
    assert json.loads(results[0])["run"] == str(out)
    return RunDir.load(out)


def assert_alike(one: RunDir, two: RunDir, photographs: ImageSet) -> None:
    first, second = one.metrics(), two.metrics()
    assert [m["step"] for m in first] == [m["step"] for m in second]
    for a, b in zip(first, second, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-3)
    answers = [
        load_classifier(run).probabilities(load_pixels(photographs, 32)) for run in (one, two)
    ]
    assert abs(answers[0] - answers[1]).max() < 1e-3
    assert one.training_images() == two.training_images()


def test_two_processes_fine_tune_as_one(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    config = classify_config(weights, batch=8, steps=6)
    with RunDir.start(tmp_path / "one", "classify", config, {}) as one:
        train_classifier(photographs, config, one)
    assert_alike(one, by_two("train", photographs, tmp_path / "two", config), photographs)


def test_two_processes_distil_as_one(tmp_path: Path, photographs: ImageSet, weights: Path) -> None:
    # Each process corrupts its images by its own draws; without noise the results are the same.
    config = kdect_config(weights, batch=8, input_noise="none")
    with RunDir.start(tmp_path / "one", "kdect", config, {}) as one:
        train_kdect(photographs, config, one)
    two = by_two("kdect", photographs, tmp_path / "two", config)
    assert_alike(one, two, photographs)
    assert (two.path / "test" / "evaluation.html").is_file()


def test_two_processes_go_on_as_one(tmp_path: Path, photographs: ImageSet, weights: Path) -> None:
    config = classify_config(weights)
    with RunDir.start(tmp_path / "begun", "classify", config, {}) as begun:
        train_classifier(photographs, config, begun)
    further = ContinueConfig.from_sources(
        None, {"batch": 8, "steps": 4, "evaluate_every": 2, "protect": "l2-sp"}
    )
    with RunDir.start(tmp_path / "one", "classify", further, {}) as one:
        continue_training(begun, photographs, photographs, further, one, measure=measure_known)
    more = ("--continue", begun.path, "--old", photographs.root)
    assert_alike(one, by_two("train", photographs, tmp_path / "two", further, *more), photographs)


def test_shares_make_up_the_batch(photographs: ImageSet) -> None:
    data = load_training_data(photographs, 32, "zoster")
    batches = Batches(data.train, 6, 0, balanced=False, flip=True)
    parts = [share_of(batches, 6, Processes(2, number))[3] for number in (0, 1)]
    for name in ("indices", "flipped", "pixels", "targets"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(batches[3], name)), name
    assert share_of(batches, 6, ALONE) is batches
    assert isinstance(share_of(batches, 6, Processes(3, 2)), Share)
    with pytest.raises(InputError, match="multiple of 4"):
        share_of(batches, 6, Processes(4, 0))


class Telling(Processes):
    """Keeps what it would tell the others."""

    def gathered(self, value: torch.Tensor) -> torch.Tensor:
        return value.detach()


def test_every_image_is_asked_about_by_some_process(photographs: ImageSet) -> None:
    pixels = load_training_data(photographs, 32, "zoster").train.pixels[:5]
    teacher = Teacher(MODEL, PixelNetwork(tiny_network().eval(), normalisation(MODEL), CPU_FP32))

    def answers(processes: Processes) -> torch.Tensor:
        asking = TeacherAnswers([teacher], pixels, mirrored=True, view="clean", processes=processes)
        return asking._table(MODEL)

    parts = torch.cat([answers(Telling(2, number)) for number in (0, 1)], dim=1)
    assert parts.shape[1] == 6
    torch.testing.assert_close(parts[:, :5], answers(ALONE))


def test_processes_draw_noise_of_their_own_but_share_the_adversary() -> None:
    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits, targets)

    def forward(images: torch.Tensor) -> torch.Tensor:
        seen.append(images.detach())
        return images.mean((2, 3))

    images, targets = torch.full((10, 3, 16, 16), 0.5), torch.arange(10) % 3
    noise, weights = [], []
    for number in (0, 1):
        seen: list[torch.Tensor] = []
        adversary = AdversarialNoise(
            loss, seed=0, size=16, device=torch.device("cpu"), processes=Processes(1, number)
        )
        weights.append(adversary.state_dict()["generator"]["0.weight"].clone())
        adversary(forward, images, targets, 0)
        noise.append(seen[-1][:3])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(noise[0], noise[1])
