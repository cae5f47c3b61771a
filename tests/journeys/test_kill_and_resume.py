"""kill -9 in mid-training: the same command goes on and ends bitwise where it would have ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hzsynth.core.checkpoint import load_checkpoint
from hzsynth.core.run import RunDir
from hzsynth.data.config import PhantomConfig
from hzsynth.data.sources.phantom import import_phantom
from hzsynth.data.splits import split_images

pytestmark = pytest.mark.slow

_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}

_GAN = """
label = "herpes_zoster"
resolution = 16
kimg = 0.16
batch = 4
channel_multiplier = 0.125
discriminator = "stylegan2"
generator = "stylegan2"
checkpoint_seconds = 0
"""
_CYCLEGAN = """
objective = "cyclegan"
resolution = 32
steps = 24
batch = 1
width = 4
blocks = 1
discriminator_width = 4
snapshots = 12
checkpoint_seconds = 0
"""
_KDECT = """
label = "herpes_zoster"
teachers = ["mobilenetv3_small_050"]
student = "mobilenetv3_small_050"
teacher_pretrained = "none"
pretrained = "none"
size = 32
teacher_steps = 12
stage_steps = 8
batch = 4
checkpoint_seconds = 0
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    config = PhantomConfig(size=32, patients={"herpes_zoster": 6, "eczema": 6, "normal": 6})
    images = import_phantom(config, root / "set")
    split_images(images, root / "split")
    return root / "split"


def _command(stage: str, photographs: Path, config: Path, out: Path) -> list[str]:
    inputs = [photographs, photographs] if stage == "cyclegan train" else [photographs]
    options = ["--label", "herpes_zoster", "--target-label", "normal"]
    return [
        *(sys.executable, "-m", "hzsynth", *stage.split(), *map(str, inputs)),
        *(options if stage == "cyclegan train" else []),
        *("--config", str(config), "--out", str(out), "--device", "cpu", "--precision", "fp32"),
        *("--seed", "3", "--json"),
    ]


def _finish(command: list[str]) -> dict[str, object]:
    done = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def _kill_in_the_middle(command: list[str], checkpoint: Path) -> None:
    """Kills the process after its first checkpoint, before its last."""
    process = subprocess.Popen(
        command, env=_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not checkpoint.exists():
        assert process.poll() is None, "the run ended before its first checkpoint was seen"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("stage", "config", "checkpoint"),
    [
        ("gan train", _GAN, "checkpoint.safetensors"),
        ("cyclegan train", _CYCLEGAN, "checkpoint.safetensors"),
        ("classify kdect", _KDECT, "teachers/mobilenetv3_small_050/checkpoint.safetensors"),
        ("classify kdect", _KDECT, "checkpoint.safetensors"),
    ],
)
def test_a_killed_run_ends_where_the_uninterrupted_one_does(
    photographs: Path, tmp_path: Path, stage: str, config: Any, checkpoint: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(config)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _finish(_command(stage, photographs, file, whole))
    _kill_in_the_middle(_command(stage, photographs, file, killed), killed / checkpoint)
    assert not (killed / "finished.json").exists()
    _finish(_command(stage, photographs, file, killed))
    first, second = (load_file(path / "model.safetensors") for path in (whole, killed))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert _steps(whole) == _steps(killed)


def _steps(path: Path) -> list[int]:
    """The steps in the metrics: none is missing and none is twice there."""
    return [int(line["step"]) for line in RunDir.load(path).metrics()]


def test_a_kill_of_cyclegan_at_a_random_moment_loses_the_time_since_the_last_checkpoint(
    photographs: Path, tmp_path: Path
) -> None:
    file, out = tmp_path / "config.toml", tmp_path / "run"
    seconds = 0.5
    file.write_text(
        _CYCLEGAN.replace("steps = 24", "steps = 1000000").replace(
            "checkpoint_seconds = 0", f"checkpoint_seconds = {seconds}"
        )
    )
    checkpoint = out / "checkpoint.safetensors"
    steps: list[int] = []
    for later in np.random.default_rng(0).uniform(0.0, 2.0, 2):
        process = subprocess.Popen(
            _command("cyclegan train", photographs, file, out),
            env=_ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        begun = checkpoint.stat().st_mtime if steps else 0.0
        while not checkpoint.exists() or checkpoint.stat().st_mtime == begun:
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(later)
        killed = time.time()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        # A step, a checkpoint and other work on the machine may lie between.
        assert killed - checkpoint.stat().st_mtime < seconds + 2.0
        steps.append(load_checkpoint(checkpoint, "cyclegan")["step"])
    assert 0 < steps[0] < steps[1]


def test_ctrl_c_saves_a_checkpoint_and_exits_with_130(photographs: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "config.toml", tmp_path / "run"
    file.write_text(
        _GAN.replace("kimg = 0.16", "kimg = 400").replace("seconds = 0", "seconds = 900")
    )
    process = subprocess.Popen(
        _command("gan train", photographs, file, out),
        env=_ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (out / "metrics.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1].startswith("hzsynth: interrupted")
    assert (out / "checkpoint.safetensors").exists()
