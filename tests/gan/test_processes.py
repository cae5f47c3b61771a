"""Two processes learn what one with the same global batch learns."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.generator_files import load_generator
from hzsynth.gan.training import train_gan

from ..launching import launched
from .conftest import tiny

pytestmark = pytest.mark.slow

BOTH = [
    {"generator": "light", "discriminator": "projected", "batch": 8},
    {
        "generator": "stylegan2",
        "discriminator": "stylegan2",
        "augment": "ada",
        "style_mixing": 0.9,
        "path_length_weight": 2.0,
        "batch": 8,
    },
]


def trained_by_two(images: ImageSet, out: Path, config: GanConfig) -> RunDir:
    file = out.with_suffix(".toml")
    config.save(file)
    lines = launched("gan", "train", images.root, "--out", out, "--config", file, "--json")
    results = [line for line in lines if line.startswith("{")]
    assert len(results) == 1  # one process speaks for all
    assert json.loads(results[0])["steps"] == 4
    return RunDir.load(out)


@pytest.mark.parametrize("settings", BOTH, ids=["light", "stylegan2"])
def test_two_processes_learn_what_one_does(
    tmp_path: Path, pictures: ImageSet, settings: dict[str, object]
) -> None:
    config = tiny(kimg=0.032, snapshot_kimg=1, label="zoster", **settings)
    with RunDir.start(tmp_path / "one", "gan", config, {}) as one:
        train_gan(pictures, config, one)
    two = trained_by_two(pictures, tmp_path / "two", config)
    first, second = (run.metrics()[-1] for run in (one, two))
    names = ("loss_discriminator", "loss_generator", "fake_mean", "fake_spread")
    for name in names:
        assert second[name] == pytest.approx(first[name], rel=1e-3, abs=1e-5), name
    samples = [load_generator(run).sample(range(4)).float() for run in (one, two)]
    assert (samples[0] - samples[1]).abs().mean() < 1


def test_a_process_takes_whole_groups() -> None:
    parts = [Processes(2, number).rows(16, 4) for number in (0, 1)]
    assert sorted(torch.cat(parts).tolist()) == list(range(16))
    # Groups of four are the images i, i + 4, i + 8 and i + 12.
    assert {row % 4 for row in parts[0].tolist()} == {0, 1}
    assert ALONE.rows(6).tolist() == list(range(6))
    with pytest.raises(InputError, match="multiple of 8"):
        Processes(2, 0).rows(12, 4)


def test_one_process_needs_no_others() -> None:
    value = nn.Parameter(torch.tensor([1.0, 2.0]))
    value.sum().backward()
    ALONE.average_gradients([value])
    assert value.grad is not None
    assert value.grad.tolist() == [1, 1]
    assert ALONE.mean(value).tolist() == [1, 2]
    assert ALONE.gathered(value).tolist() == [1, 2]
    assert ALONE.agreed(True)
    ALONE.wait()
