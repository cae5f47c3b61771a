"""Whole life cycles on tiny networks: exact resume, provenance, sizes, refusals."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hzsynth.core.checkpoint import load_checkpoint
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError, RefusedError, TrainingDivergedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.photos import decode_image
from hzsynth.core.progress import Progress
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.measures import explained_by_colours
from hzsynth.cyclegan.training import load_generator, train_cyclegan
from hzsynth.cyclegan.translation import translate, translate_pixels

TINY = {
    "objective": "cyclegan",
    "resolution": 32,
    "steps": 6,
    "width": 4,
    "blocks": 1,
    "discriminator_width": 4,
    "snapshots": 3,
    "pool": 3,
}


def skin(rng: Any, colour: Any, height: Any = 32, width: Any = 32) -> Any:
    pixels = np.array(colour) + rng.normal(0, 6, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def make_set(
    path: Any,
    colour: Any,
    *,
    lesion: Any = False,
    count: Any = 6,
    splits: Any = ("",),
    sizes: Any = ((32, 32),),
    seed: Any = 0,
) -> Any:
    rng = np.random.default_rng(seed)
    with ImageSetWriter(path) as writer:
        for i in range(count):
            height, width = sizes[i % len(sizes)]
            pixels = skin(rng, colour, height, width)
            mask = None
            if lesion:
                mask = np.zeros((height, width), dtype=bool)
                # Of another place and shape in every image: else they are near-duplicates.
                top, left = rng.integers(1, height // 2), rng.integers(1, width // 2)
                tall, wide = rng.integers(5, height // 2), rng.integers(5, width // 2)
                mask[top : top + tall, left : left + wide] = True
                pixels[mask] = (190, 60, 60)
            writer.add(
                pixels,
                label="zoster" if lesion else "normal",
                group=f"{path.name}-{i}",
                split=splits[i % len(splits)],
                origin="real",
                licence="CC0",
                mask=mask,
            )
    return writer.images


@pytest.fixture
def domains(tmp_path: Path) -> tuple[ImageSet, ImageSet]:
    source = make_set(tmp_path / "source", (225, 175, 150), lesion=True)
    target = make_set(tmp_path / "target", (190, 145, 110), seed=1)
    return source, target


def start(path: Any, config: Any) -> Any:
    return RunDir.start(path, "cyclegan", config, {})


class StopAfter(Progress):
    """Interrupts the training like Ctrl-C after some steps."""

    def __init__(self, steps: Any) -> None:
        self._left = steps

    def task(self, *args: Any, **kwargs: Any) -> Any:
        outer = self

        class Task:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *error: Any) -> Any:
                return None

            def advance(self, amount: Any = 1, note: Any = "") -> None:
                outer._left -= 1
                if outer._left == 0:
                    raise KeyboardInterrupt

        return Task()


def tensors(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for key in value:
            yield from tensors(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item)


@pytest.mark.parametrize("output", ["residual", "published"])
def test_an_interrupted_run_ends_where_the_uninterrupted_one_does(
    tmp_path: Path, domains: tuple[ImageSet, ImageSet], output: str
) -> None:
    config = CycleGanConfig(**TINY, output=output)
    whole, parts = start(tmp_path / "whole", config), start(tmp_path / "parts", config)
    train_cyclegan(*domains, config, whole, compute=CPU_FP32)
    with pytest.raises(KeyboardInterrupt):
        train_cyclegan(*domains, config, parts, compute=CPU_FP32, progress=StopAfter(3))
    assert not parts.finished
    parts.close()
    train_cyclegan(*domains, config, start(tmp_path / "parts", config), compute=CPU_FP32)
    for name in ("checkpoint.safetensors", "model.safetensors"):
        kind = "cyclegan" if name.startswith("checkpoint") else "cyclegan-model"
        one, two = (load_checkpoint(tmp_path / r / name, kind) for r in ("whole", "parts"))
        pairs = list(zip(tensors(one), tensors(two), strict=True))
        assert len(pairs) > 20
        assert all(torch.equal(a, b) for a, b in pairs)
    logs = [
        [{k: v for k, v in m.items() if k != "seconds"} for m in r.metrics()]
        for r in (whole, parts)
    ]
    assert logs[0] == logs[1]


def test_a_run_that_diverges_keeps_its_last_checkpoint(
    tmp_path: Path, domains: tuple[ImageSet, ImageSet]
) -> None:
    def confused(images: Any) -> Any:
        # The frozen classifier has no answer from the third step on.
        asked.append(1)
        return images.mean(dim=(2, 3)) * (float("nan") if len(asked) > 8 else 1.0)

    asked: list[int] = []
    config = CycleGanConfig(**TINY, preserve="semantic", checkpoint_seconds=0)
    run = start(tmp_path / "run", config)
    with pytest.raises(TrainingDivergedError, match="before step 3: semantic is not a number"):
        train_cyclegan(*domains, config, run, compute=CPU_FP32, classify=confused)
    assert load_checkpoint(run.path / "checkpoint.safetensors", "cyclegan")["step"] == 2
    assert not run.finished


def test_metrics_are_means_at_an_even_pace(
    tmp_path: Path, domains: tuple[ImageSet, ImageSet]
) -> None:
    config = CycleGanConfig(**TINY)
    run = start(tmp_path / "run", config)
    train_cyclegan(*domains, config, run, compute=CPU_FP32)
    assert [line["step"] for line in run.metrics()] == [1, 2, 3, 4, 5, 6]
    assert [line["learning_rate"] for line in run.metrics()] == pytest.approx(
        [2e-4 * share for share in (1, 1, 1, 1, 2 / 3, 1 / 3)]
    )
    names = "adversarial", "cycle", "identity", "tone", "preservation", "discriminator"
    assert all(np.isfinite(line[name]) for line in run.metrics() for name in names)
    sheets = sorted(path.name for path in (run.path / "samples").iterdir())
    assert sheets == ["step-0000002.png", "step-0000004.png", "step-0000006.png"]


def test_translation_moves_the_tone_and_keeps_the_lesion(
    tmp_path: Path, domains: tuple[ImageSet, ImageSet]
) -> None:
    source, target = domains
    config = CycleGanConfig(**TINY)
    run = start(tmp_path / "run", config)
    result = train_cyclegan(source, target, config, run, compute=CPU_FP32)
    assert result.sheet.is_file()
    translated = translate(run, source, tmp_path / "out", compute=CPU_FP32)
    for before, after in zip(source, translated, strict=True):
        old, new = (
            decode_image(s.read_bytes(r), "").astype(float)
            for s, r in ((source, before), (translated, after))
        )
        mask = source.read_mask(before)
        np.testing.assert_allclose(new[~mask].mean(axis=0), (190, 145, 110), atol=12)
        contrast = [(p[mask].mean(axis=0) - p[~mask].mean(axis=0)) for p in (old, new)]
        assert contrast[1][1] < 0.6 * contrast[0][1]


def test_translated_images_carry_their_provenance(tmp_path: Path) -> None:
    splits = ("train", "train", "test")
    source = make_set(tmp_path / "source", (225, 175, 150), lesion=True, splits=splits)
    target = make_set(tmp_path / "target", (190, 145, 110), seed=1)
    config = CycleGanConfig(**TINY)
    run = start(tmp_path / "run", config)
    train_cyclegan(source, target, config, run, compute=CPU_FP32)
    learned = {image.sha256 for image in run.training_images()}
    allowed = {r.sha256 for r in (*source.select(split="train"), *target)}
    assert learned == allowed
    translated = translate(run, source, tmp_path / "out", compute=CPU_FP32)
    assert {i.sha256 for i in translated.lineage[run.id]} == learned
    for before, after in zip(source, translated, strict=True):
        assert after.parents == (before.sha256,)
        assert (after.origin, after.run) == ("cyclegan", run.id)
        assert (after.label, after.group, after.split, after.licence) == (
            before.label,
            before.group,
            before.split,
            before.licence,
        )
        kept, own = translated.read_mask(after), source.read_mask(before)
        assert kept is not None
        assert own is not None
        assert np.array_equal(kept, own)


def test_any_size_comes_back_and_alone_equals_together(
    tmp_path: Path, domains: tuple[ImageSet, ImageSet]
) -> None:
    config = CycleGanConfig(**TINY)
    run = start(tmp_path / "run", config)
    train_cyclegan(*domains, config, run, compute=CPU_FP32)
    sizes = ((9, 13), (32, 32), (50, 41), (130, 70))
    mixed = make_set(tmp_path / "mixed", (225, 175, 150), count=4, sizes=sizes)
    translated = translate(run, mixed, tmp_path / "out", compute=CPU_FP32)
    assert [(r.height, r.width) for r in translated] == list(sizes)
    alone = mixed.replace_records(mixed.records[2:3])
    again = translate(run, alone, tmp_path / "alone", compute=CPU_FP32)
    assert again.records[0].sha256 == translated.records[2].sha256
    generator, _ = load_generator(run, CPU_FP32)
    for height, width in ((4, 100), (900, 10), (1, 1), (1, 700)):
        strip = skin(np.random.default_rng(0), (225, 175, 150), height, width)
        assert translate_pixels(generator, strip, 32, CPU_FP32).shape == strip.shape


def test_transplants_keep_their_tone(tmp_path: Path, domains: tuple[ImageSet, ImageSet]) -> None:
    config = CycleGanConfig(**{**TINY, "colour_start": True})
    run = start(tmp_path / "run", config)
    train_cyclegan(*domains, config, run, compute=CPU_FP32)
    source = domains[0]
    laid = source.replace_records([replace(r, origin="transplant") for r in source.records])
    moves = []
    for name, images in (("translated", source), ("harmonised", laid)):
        made = translate(run, images, tmp_path / name, compute=CPU_FP32)
        assert {record.origin for record in made} == {"cyclegan"}
        before, after = (
            np.mean([np.asarray(Image.open(s.path(r))).mean((0, 1)) for r in s], axis=0)
            for s in (images, made)
        )
        moves.append(np.abs(after - before).max())
    assert moves[0] > 10
    assert moves[1] < 2


def test_a_held_out_patient_in_the_target_is_refused(tmp_path: Path) -> None:
    source = make_set(tmp_path / "source", (225, 175, 150), lesion=True, splits=("train", "test"))
    leaking = source.select(split="test")
    leaking = leaking.replace_records(
        [type(r)(**{**r.__dict__, "split": ""}) for r in leaking.records]
    )
    config = CycleGanConfig(**TINY)
    with pytest.raises(RefusedError, match="same file"):
        train_cyclegan(source, leaking, config, start(tmp_path / "run", config), compute=CPU_FP32)


def test_unusable_inputs_are_refused_in_a_sentence(
    tmp_path: Path, domains: tuple[ImageSet, ImageSet]
) -> None:
    config = CycleGanConfig(**TINY)
    run = start(tmp_path / "run", config)
    one = domains[1].replace_records(domains[1].records[:1])
    with pytest.raises(InputError, match="TARGET has 1 images"):
        train_cyclegan(domains[0], one, config, run, compute=CPU_FP32)
    half = Compute(torch.device("cpu"), "fp16")
    with pytest.raises(InputError, match="fp16"):
        train_cyclegan(*domains, config, run, compute=half)
    with pytest.raises(InputError, match="not finished"):
        translate(run, domains[0], tmp_path / "out", compute=CPU_FP32)


def test_the_settings_are_there_without_torch() -> None:
    script = "import hzsynth.cyclegan.config, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_by_default_only_the_tone_is_mapped_and_nothing_is_trained(
    tmp_path: Path, domains: tuple[ImageSet, ImageSet]
) -> None:
    source, target = domains
    config = CycleGanConfig(resolution=32)
    run = start(tmp_path / "run", config)
    result = train_cyclegan(source, target, config, run, compute=CPU_FP32)
    assert (result.steps, run.finished, run.metrics()) == (0, True, [])
    assert result.sheet.is_file()
    translated = translate(run, source, tmp_path / "out", compute=CPU_FP32)
    for before, after in zip(source, translated, strict=True):
        assert (after.origin, after.parents, after.run) == ("tone", (before.sha256,), run.id)
        old, new = (
            s.read_pixels(r).astype(float) for s, r in ((source, before), (translated, after))
        )
        mask = source.read_mask(before)
        np.testing.assert_allclose(new[~mask].mean(axis=0), (190, 145, 110), atol=12)
        # One shift for the whole picture, and nothing else.
        assert explained_by_colours(old.astype(np.uint8), new.astype(np.uint8)) > 0.98
    laid = source.replace_records([replace(r, origin="transplant") for r in source.records])
    kept = translate(run, laid, tmp_path / "kept", compute=CPU_FP32)
    assert (
        np.abs(
            kept.read_pixels(kept.records[0]).astype(int) - source.read_pixels(source.records[0])
        ).max()
        <= 1
    )


@pytest.mark.parametrize("setting", [{"steps": 5}, {"minutes": 1.0}, {"preserve": "gated"}])
def test_settings_of_a_training_are_refused_where_nothing_is_trained(
    setting: dict[str, int] | dict[str, float] | dict[str, str],
) -> None:
    with pytest.raises(InputError, match=f"{next(iter(setting))} is for objective cyclegan or cut"):
        CycleGanConfig.from_sources(None, setting)
    stored = CycleGanConfig.from_sources(None, {"seed": 3}).model_dump(exclude_none=True)
    assert CycleGanConfig(**stored).objective == "tone"
