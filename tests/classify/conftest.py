"""A small set of pictures, a tiny pretrained network and settings of milliseconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.classify.models import MODEL as STORED
from hzsynth.classify.models import (
    Classifier,
    create_network,
    head_of,
    normalisation,
    normalise,
    pooled_features,
    to_unit,
)
from hzsynth.classify.train.config import ClassifyConfig, KdectConfig
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.lineage import learned_from
from hzsynth.core.progress import Progress, Task
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from hzsynth.nets.backbones import create_backbone

MODEL = "test_efficientnet"
OTHER = "test_resnet"


def spotted(seed: int, label: str) -> np.ndarray:
    """24 x 24 skin with a red spot (zoster) or a dark stripe (eczema) at a random place."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:24, :24]
    picture = np.full((24, 24, 3), (220, 180, 160), np.float64)
    centre = rng.uniform(6, 18, 2)
    if label == "zoster":
        picture[(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 25] = (200, 40, 40)
    else:
        picture[np.abs(rows - centre[0]) < 3] = (110, 90, 90)
    picture += rng.normal(0, 6, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


SPLITS = {"train": 8, "val": 3, "test": 3}


def add_photographs(writer: ImageSetWriter, splits: dict[str, int] = SPLITS) -> None:
    seed = 0
    for split, count in splits.items():
        for label in ("eczema", "zoster"):
            for _ in range(count):
                seed += 1
                writer.add(
                    spotted(seed, label),
                    label=label,
                    split=split,
                    group=f"patient-{seed}",
                    origin="real",
                    name=f"{split or 'all'}-{seed}",
                )


@pytest.fixture
def photographs(tmp_path: Path) -> ImageSet:
    with ImageSetWriter(tmp_path / "photographs") as writer:
        add_photographs(writer)
    return writer.images


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights of both tiny models, standing for pretrained ones."""
    folder = tmp_path_factory.mktemp("weights")
    for number, name in enumerate((MODEL, OTHER)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(number)
            network = create_backbone(name, num_classes=5)
        torch.save(network.state_dict(), folder / f"{name}.pth")
    return folder


def classify_config(weights: Path | None, **changes: Any) -> ClassifyConfig:
    settings = {
        "label": "zoster",
        "model": MODEL,
        "pretrained": "none" if weights is None else str(weights / f"{MODEL}.pth"),
        "size": 32,
        "batch": 6,
        "steps": 8,
        "evaluate_every": 3,
        "checkpoint_seconds": 1e6,
        **changes,
    }
    return ClassifyConfig.from_sources(None, settings)


def kdect_config(weights: Path | None, **changes: Any) -> KdectConfig:
    settings = {
        "label": "zoster",
        "teachers": [MODEL, OTHER],
        "student": MODEL,
        "teacher_pretrained": "none" if weights is None else str(weights),
        "pretrained": "none" if weights is None else str(weights / f"{MODEL}.pth"),
        "size": 32,
        "batch": 6,
        "teacher_steps": 6,
        "stage_steps": 4,
        "evaluate_every": 3,
        "checkpoint_seconds": 1e6,
        **changes,
    }
    return KdectConfig.from_sources(None, settings)


class StopsAt(Progress):
    """Asks to stop, as Ctrl-C does, after so many steps of the job that `job` begins.

    With step 0 it never stops and only counts.
    """

    def __init__(self, job: str, step: int = 0) -> None:
        self._job, self._left = job, step
        self.jobs: list[str] = []
        self.steps = 0

    @contextmanager
    def task(
        self, description: str, total: float, unit: str = "it", done: float = 0
    ) -> Iterator[Task]:
        self.jobs.append(description)
        yield _Counting(self) if description.startswith(self._job) else Task()

    def count(self) -> None:
        self.steps += 1
        if self.steps == self._left:
            self.stop()

    def stop(self) -> None:
        raise KeyboardInterrupt


class _Counting(Task):
    def __init__(self, owner: StopsAt) -> None:
        self._owner = owner

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._owner.count()


def tiny_network(seed: int = 0, classes: int = 2) -> torch.nn.Module:
    return create_network(MODEL, classes=classes, pretrained="none", seed=seed)


SOLVED_SIZE = 32


def saved_run(
    path: Path,
    photographs: ImageSet,
    *,
    sign: float = 1.0,
    noise: float = 0.0,
    learned: ImageSet | None = None,
) -> RunDir:
    """A finished run whose head was solved for: right about all photographs (sign -1: wrong)."""
    labels = ("eczema", "zoster")
    run = RunDir.start(path, "classify", classify_config(None), {"images": photographs.digest})
    network = create_network(MODEL, classes=2, pretrained="none", seed=0).eval()
    mean, std = normalisation(MODEL)
    pixels = load_pixels(photographs, SOLVED_SIZE)
    answer = np.array([sign if r.label == "zoster" else -sign for r in photographs])
    answer = answer + np.random.default_rng(0).normal(0, noise, len(answer))
    with torch.no_grad():
        features = pooled_features(network, normalise(to_unit(pixels, CPU_FP32), mean, std))
        ones = torch.ones(len(features), 1)
        wanted = torch.from_numpy(answer).float()[:, None]
        solved = torch.linalg.lstsq(torch.cat([features, ones], 1).double(), wanted.double())
        weights = solved.solution.float()[:, 0]
        head = head_of(network)
        head.weight.copy_(torch.stack([-weights[:-1], weights[:-1]]))
        head.bias.copy_(torch.stack([-weights[-1], weights[-1]]))
    Classifier(MODEL, network, labels, "zoster", SOLVED_SIZE, mean, std).save(run.path / STORED)
    seen = photographs.select("train") if learned is None else learned
    run.record_training(learned_from([seen]))
    run.finish({})
    run.close()
    return run
