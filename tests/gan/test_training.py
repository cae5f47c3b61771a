import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hzsynth.core.checkpoint import load_checkpoint
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError, TrainingDivergedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.progress import Progress, Task
from hzsynth.core.run import RunDir
from hzsynth.core.training_loop import TrainingLoop
from hzsynth.gan.adversarial_step import AdversarialStep
from hzsynth.gan.config import GanConfig
from hzsynth.gan.generator_files import load_generator
from hzsynth.gan.interfaces import ObservedImages
from hzsynth.gan.layers import trunk_widths
from hzsynth.gan.photographs import training_photographs
from hzsynth.gan.real_views import RealViews
from hzsynth.gan.sampling import generate
from hzsynth.gan.training import train_gan
from hzsynth.gan.training_result import GanResult
from hzsynth.gan.view_bank import bank_size

from .conftest import tiny, write_pictures


class PowerCutError(Exception):
    """What stands for a kill in these tests."""


class StopsAt(Progress, Task):
    """Raises inside the training loop when a number of steps is done."""

    def __init__(self, step: int) -> None:
        self._left = step

    @contextmanager
    def task(
        self, description: str, total: float, unit: str = "it", done: float = 0
    ) -> Iterator[Task]:
        yield self if description == "training the GAN" else _Quiet()

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._left -= 1
        if self._left < 0:
            raise PowerCutError


class _Quiet(Task):
    def advance(self, amount: float = 1, note: str = "") -> None:
        pass


def start(path: Path, images: ImageSet, config: GanConfig) -> RunDir:
    return RunDir.start(path, "gan", config, {"images": images.digest})


def train(path: Path, images: ImageSet, config: GanConfig, **options: Any) -> GanResult:
    run = start(path, images, config)
    try:
        return train_gan(images, config, run, **options)
    finally:
        run.close()


def tensors(value: Any, name: str = "") -> dict[str, torch.Tensor]:
    """All tensors of a nested state by their place in it."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    else:
        return {}
    return {k: v for key, part in items for k, v in tensors(part, f"{name}/{key}").items()}


def final_tensors(run: RunDir) -> dict[str, torch.Tensor]:
    return tensors(
        [run.load_checkpoint(), load_checkpoint(run.path / "model.safetensors", "gan-generator")]
    )


def assert_bitwise_equal(first: RunDir, second: RunDir) -> None:
    left, right = final_tensors(first), final_tensors(second)
    assert left.keys() == right.keys()
    assert len(left) > 50
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert different == []


PAIRS = [
    ("light", "projected"),
    ("stylegan2", "projected"),
    ("light", "stylegan2"),
    ("stylegan2", "stylegan2"),
]


@pytest.mark.parametrize(("generator", "discriminator"), PAIRS)
def test_an_interrupted_run_ends_bitwise_as_an_uninterrupted_one(
    tmp_path: Path, pictures: ImageSet, generator: str, discriminator: str
) -> None:
    more: dict[str, Any] = (
        {"style_mixing": 0.9, "path_length_weight": 2.0} if generator == "stylegan2" else {}
    )
    if (generator, discriminator) == PAIRS[0]:
        more = {"watch": True, "patience": 0, "watch_features": "efficientnet-lite0"}
    if (generator, discriminator) == PAIRS[3]:
        more |= {"augment": "ada", "ada_kimg": 0.02}
    config = tiny(generator=generator, discriminator=discriminator, **more)
    whole = train(tmp_path / "whole", pictures, config)
    for step in (1, 2):  # two cuts: after two steps, and after three more
        with pytest.raises(PowerCutError):
            train(tmp_path / "cut", pictures, config, progress=StopsAt(step))
    resumed = train(tmp_path / "cut", pictures, config)
    assert whole.steps == resumed.steps == 6
    assert_bitwise_equal(whole.run, resumed.run)
    first = [(m["step"], m.get("loss_generator")) for m in whole.run.metrics()]
    assert first == [(m["step"], m.get("loss_generator")) for m in resumed.run.metrics()]


def test_a_killed_process_loses_nothing(tmp_path: Path, pictures: ImageSet) -> None:
    config = tiny(kimg=0.1, discriminator="stylegan2")
    settings = config.model_dump(mode="json", exclude_none=True)
    script = textwrap.dedent(
        f"""
        import torch
        torch.set_num_threads(1)
        from pathlib import Path
        from hzsynth.core.image_set import ImageSet
        from hzsynth.core.run import RunDir
        from hzsynth.gan.config import GanConfig
        from hzsynth.gan.training import train_gan
        images = ImageSet.load(Path({str(pictures.root)!r}))
        config = GanConfig(**{settings!r})
        run = RunDir.start(Path({str(tmp_path / "killed")!r}), "gan", config, {{"images": images.digest}})
        train_gan(images, config, run)
        """
    )
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    process = subprocess.Popen([sys.executable, "-c", script])
    while process.poll() is None and not checkpoint.is_file():
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "finished.json").exists()
    killed = train(tmp_path / "killed", pictures, config)
    whole = train(tmp_path / "whole", pictures, config)
    assert_bitwise_equal(whole.run, killed.run)


def test_the_whole_life_of_a_run(tmp_path: Path, pictures: ImageSet) -> None:
    seen: list[torch.Tensor] = []

    def score(samples: torch.Tensor) -> dict[str, float]:
        seen.append(samples)
        return {"brightness": samples.float().mean().item()}

    config = tiny(label="zoster")
    result = train(tmp_path / "run", pictures, config, score=score)
    run = RunDir.load(tmp_path / "run", "gan")
    assert (result.labels, result.training_images, result.images_shown) == (("zoster",), 3, 24)
    assert run.result["last"]["brightness"] == result.last["brightness"]
    assert len(run.training_images()) == 3
    test_image = next(r for r in pictures if r.split == "test")
    assert test_image.sha256 not in {t.sha256 for t in run.training_images()}
    assert sorted(p.name for p in (run.path / "samples").iterdir()) == [
        "0000003.png",
        "0000006.png",
    ]
    assert [len(s) for s in seen] == [4, 4]
    assert torch.equal(load_generator(run).sample(range(4)), seen[-1])
    line = next(line for line in run.metrics() if "brightness" in line)
    assert {"loss_generator", "loss_discriminator", "images_per_second", "saturated"} <= {
        key for line in run.metrics() for key in line
    }
    assert line["step"] == 3

    made = generate(run, 5, tmp_path / "made", seed=7)
    again = generate(run, 3, tmp_path / "again", seed=7)
    assert [r.sha256 for r in made][:3] == [r.sha256 for r in again]
    record = made.records[0]
    assert (record.label, record.origin, record.run, record.parents) == (
        "zoster",
        "light",
        run.id,
        (),
    )
    assert made.lineage[run.id] == tuple(sorted(run.training_images(), key=str))
    pixels = load_generator(run).sample([int(record.seed)])[0].permute(1, 2, 0).numpy()
    with Image.open(made.path(record)) as stored:
        assert (np.asarray(stored) == pixels).all()


@pytest.mark.parametrize("generator", ["light", "stylegan2"])
def test_an_image_depends_on_its_seed_alone(
    tmp_path: Path, pictures: ImageSet, generator: str
) -> None:
    config = tiny(
        generator=generator, resolution=32, channel_multiplier=0.3, discriminator="stylegan2"
    )
    sampler = load_generator(train(tmp_path / "run", pictures, config).run)
    seeds = list(range(16))
    classes = [s % 2 for s in seeds]
    together = sampler.sample(seeds, classes)
    assert together.shape == (16, 3, 32, 32)
    assert together.dtype == torch.uint8
    one_by_one = torch.cat([sampler.sample([s], [s % 2]) for s in reversed(seeds)]).flip(0)
    assert torch.equal(together, one_by_one)
    assert len(sampler.sample([], [])) == 0


def test_networks_of_another_version_are_refused(
    tmp_path: Path, pictures: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(tmp_path / "run", pictures, tiny()).run
    wider = {size: 2 * width for size, width in trunk_widths(16, 1).items()}
    monkeypatch.setattr("hzsynth.gan.light.trunk_widths", lambda *_: wider)
    with pytest.raises(InputError, match="another version"):
        load_generator(run)


def test_truncation_pulls_images_together(tmp_path: Path, pictures: ImageSet) -> None:
    run = train(tmp_path / "run", pictures, tiny(generator="stylegan2")).run
    spread = [
        load_generator(run, truncation=psi)
        .sample(range(8), [0] * 8)
        .float()
        .std(dim=0)
        .mean()
        .item()
        for psi in (0.0, 0.5, 1.0)
    ]
    assert spread[0] < spread[1] < spread[2]
    plain = load_generator(run).sample([3], [1])
    close = (load_generator(run, truncation=1.0).sample([3], [1]).int() - plain.int()).abs().max()
    assert close <= 1
    light = train(tmp_path / "light", pictures, tiny()).run
    with pytest.raises(InputError, match="stylegan2"):
        load_generator(light, truncation=0.5)


@pytest.mark.parametrize("count", [1, 2])
def test_one_photograph_is_enough_to_run(tmp_path: Path, count: int) -> None:
    images = write_pictures(tmp_path / "few", count=count, splits=False)
    result = train(tmp_path / "run", images, tiny())
    assert result.training_images == count
    assert result.steps == 6
    assert [alarm.split(":")[0] for alarm in result.alarms] == ["few"]


def test_photographs_that_are_all_the_same_are_told_of(tmp_path: Path) -> None:
    with ImageSetWriter(tmp_path / "same") as writer:
        for number in range(3):
            same = np.full((24, 24, 3), (200, 150, 120), np.uint8)
            writer.add(same, label="zoster", group=f"p{number}", origin="real")
    result = train(tmp_path / "run", writer.images, tiny(watch=True))
    assert result.alarms[0].startswith("sameness: all 3 photographs")
    assert "one and the same picture" in (tmp_path / "run" / "MODEL_CARD.md").read_text("utf-8")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("generator", ["light", "stylegan2"])
def test_training_in_half_precision_stays_finite(
    tmp_path: Path, pictures: ImageSet, generator: str, precision: Any
) -> None:
    compute = Compute(torch.device("cpu"), precision)
    config = tiny(generator=generator, discriminator="stylegan2")
    result = train(tmp_path / "run", pictures, config, compute=compute)
    sample = load_generator(result.run, compute).sample([0, 1], [0, 1])
    assert sample.float().std() > 1
    scale = result.run.load_checkpoint()["descend_generator"]["scale"]
    assert bool(scale) == (precision == "fp16")


def test_minutes_stop_by_the_clock_and_a_resumed_run_uses_what_is_left(
    tmp_path: Path, pictures: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(float(i) for i in range(10**6))
    settings = TrainingLoop.__init__.__kwdefaults__
    assert settings is not None
    monkeypatch.setitem(settings, "clock", lambda: next(now))
    config = tiny(minutes=1.0, snapshot_kimg=1.0)
    with pytest.raises(PowerCutError):
        train(tmp_path / "run", pictures, config, progress=StopsAt(5))
    saved = RunDir.load(tmp_path / "run").load_checkpoint()
    assert 0 < saved["loop"]["seconds"] < 60
    result = train(tmp_path / "run", pictures, config)
    assert 60 <= result.seconds < 66
    assert result.steps > saved["loop"]["step"]


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(
    tmp_path: Path, pictures: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    normal = AdversarialStep.__call__

    def poisoned(self: AdversarialStep, step: int, real: Any) -> dict[str, torch.Tensor]:
        values = normal(self, step, real)
        return {**values, "loss_generator": torch.tensor(float("nan"))} if step == 4 else values

    monkeypatch.setattr(AdversarialStep, "__call__", poisoned)
    with pytest.raises(TrainingDivergedError, match="loss_generator is not a number"):
        train(tmp_path / "run", pictures, tiny())
    assert RunDir.load(tmp_path / "run").load_checkpoint()["loop"]["step"] == 4
    monkeypatch.undo()
    assert train(tmp_path / "run", pictures, tiny()).steps == 6


@pytest.mark.parametrize("discriminator", ["projected", "stylegan2"])
def test_a_poisoned_batch_spoils_neither_checkpoint_nor_model(
    tmp_path: Path, pictures: ImageSet, monkeypatch: pytest.MonkeyPatch, discriminator: str
) -> None:
    normal = RealViews.observation

    def poisoned(self: RealViews, step: int) -> ObservedImages:
        seen = normal(self, step)
        if step == 3:
            seen.observation[0][0] = float("nan")
        return seen

    # A snapshot falls due before the next report.
    config = tiny(discriminator=discriminator, snapshot_kimg=0.016, checkpoint_seconds=0.0)
    monkeypatch.setattr(RealViews, "observation", poisoned)
    with pytest.raises(TrainingDivergedError, match="is not a number"):
        train(tmp_path / "run", pictures, config)
    run = RunDir.load(tmp_path / "run")
    assert run.load_checkpoint()["loop"]["step"] == 3
    assert not (run.path / "model.safetensors").exists()
    monkeypatch.undo()
    resumed = train(tmp_path / "run", pictures, config).run
    whole = train(tmp_path / "whole", pictures, config).run
    assert_bitwise_equal(whole, resumed)


def test_only_real_images_of_the_train_split_are_learned(pictures: ImageSet) -> None:
    assert {r.split for r in training_photographs(pictures, "all")} == {"train"}
    assert training_photographs(pictures, "eczema").labels == ("eczema",)
    with pytest.raises(InputError, match="eczema, zoster"):
        training_photographs(pictures, "psoriasis")
    with pytest.raises(InputError, match="no real training image"):
        training_photographs(pictures.select(split="test"), "zoster")


def test_settings_that_do_not_fit_are_refused() -> None:
    for wrong in ({"resolution": 48}, {"style_mixing": 0.5}, {"path_length_weight": 2.0}):
        with pytest.raises(InputError):
            GanConfig.from_sources(None, wrong)
    assert GanConfig(kimg=8, batch=16).total_steps == 500
    assert GanConfig(resolution=64, batch=16).gamma == pytest.approx(0.0512)


def test_the_bank_fits_its_memory_and_its_run() -> None:
    assert bank_size(GanConfig(kimg=10), 1000) == 1984
    assert bank_size(GanConfig(kimg=1000), 1000) == 2976
    assert bank_size(GanConfig(kimg=1000, bank_megabytes=1), 1000) == 512
    assert bank_size(GanConfig(kimg=0.001), 1000) == 32


def test_generate_refuses_what_cannot_be(tmp_path: Path, pictures: ImageSet) -> None:
    config = tiny()
    run = start(tmp_path / "run", pictures, config)
    with pytest.raises(InputError, match="no trained generator"):
        load_generator(run)
    with pytest.raises(InputError, match="`count`"):
        generate(run, 0, tmp_path / "none")
