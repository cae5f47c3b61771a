"""Two processes learn what one with the same global batch learns."""

import json
from pathlib import Path

import pytest
import torch

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.processes import Processes
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.adversaries import Adversaries
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.training import load_generator, train_cyclegan

from ..launching import launched
from .test_training_translation import TINY, make_set

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("objective", ["cyclegan", "cut"])
def test_two_processes_learn_what_one_does(tmp_path: Path, objective: str) -> None:
    source = make_set(tmp_path / "source", (205, 165, 145), lesion=True)
    target = make_set(tmp_path / "target", (180, 140, 110), seed=1)
    # Shifts, pools and PatchNCE's places are drawn by each process for itself.
    settings = {"shift": 0.0, "pool": 0, "preserve": "blind", "batch": 2, "steps": 4}
    if objective == "cut":
        # Every place is compared: which ones are drawn first does not matter.
        settings |= {"nce_locations": 10_000}
    config = CycleGanConfig(**{**TINY, **settings, "objective": objective})
    with RunDir.start(tmp_path / "one", "cyclegan", config, {}) as one:
        train_cyclegan(source, target, config, one, compute=CPU_FP32)
    file = tmp_path / "settings.toml"
    config.save(file)
    out = tmp_path / "two"
    lines = launched(
        "cyclegan", "train", source.root, target.root, "--out", out, "--config", file, "--json"
    )
    results = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(results) == 1  # one process speaks for all
    assert results[0]["steps"] == 4
    two = RunDir.load(out)
    for first, second in zip(one.metrics(), two.metrics(), strict=True):
        for name, value in first.items():
            assert second[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    made = [load_generator(run, CPU_FP32)[0](images) for run in (one, two)]
    assert (made[0] - made[1]).abs().max() < 1e-2
    assert (made[0] - images).abs().max() > 1e-2
    assert one.training_images() == two.training_images()


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(InputError, match="multiple of 2"):
        Adversaries(CycleGanConfig(**TINY, batch=1), CPU_FP32, processes=Processes(2, 0))
