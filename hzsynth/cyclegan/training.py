"""Training of CycleGAN (Zhu et al. 2017) with the lesion kept.

The loop is the published one: least-squares adversarial losses, cycle and identity losses,
a pool of 50 earlier fakes, Adam with beta1 0.5, and a learning rate that falls linearly to zero in
the second half. `preserve` says how lesions are kept (see `config.WAYS` and `preservation`), and
`objective = "cut"` puts PatchNCE in the place of cycle and identity (see `contrastive`).

Every random draw of a step follows from the seed and the step's number, and a checkpoint
holds the networks, both optimisers, the pools, the step and the time spent: in float32 on a
CPU an interrupted and resumed run of a given number of steps ends bitwise where the
uninterrupted one does.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from hzsynth.core.checkpoint import load_checkpoint, save_checkpoint
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_files import write_png
from hzsynth.core.image_set import ImageSet
from hzsynth.core.interrupt import deferred_interrupts
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.cyclegan.colour_start import with_shifts
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.domains import (
    Domain,
    FindLesion,
    load_domain,
    training_images,
)
from hzsynth.cyclegan.networks import ResnetGenerator
from hzsynth.cyclegan.trainer import Classify, Trainer
from hzsynth.data.lesion import lesion_mask
from hzsynth.report.contact_sheet import comparison_rows

MODEL = "model.safetensors"
_MODEL_KIND = "cyclegan-model"
_SHOWN = 8


@dataclass(frozen=True)
class CycleGanResult:
    """What `train_cyclegan` made.

    Attributes:
        model: file of the trained generators with their configuration.
        sheet: newest sample sheet: source, translated, cycled.
        steps: optimiser steps.
        images_per_second: images of both domains that were learned from in a second.
    """

    model: Path
    sheet: Path
    steps: int
    images_per_second: float


def write_sheet(path: Path, rows: dict[str, torch.Tensor]) -> None:
    """Writes rows of pictures (title -> uint8 N x 3 x H x W) as a PNG."""
    write_png(path, comparison_rows(rows, _SHOWN))


def _sheet(training: Trainer, run: RunDir) -> Path:
    return run.path / "samples" / f"step-{training.step:07d}.png"


def _snapshot(training: Trainer, run: RunDir, source: Domain) -> Path:
    path = _sheet(training, run)
    write_sheet(path, training.shown(source.pixels[:_SHOWN]))
    return path


def train_cyclegan(
    source: ImageSet,
    target: ImageSet,
    config: CycleGanConfig,
    run: RunDir,
    *,
    compute: Compute,
    classify: Classify | None = None,
    find: FindLesion = lesion_mask,
    progress: Progress = SILENT,
    processes: Processes = ALONE,
) -> CycleGanResult:
    """Learns to map photographs of `source` onto the skin of `target`.

    Args:
        source: diseased photographs; masks are taken from the set or found by redness.
        target: photographs of the skin to map onto.
        config: settings.
        run: where everything is written; an unfinished run is resumed.
        compute: device and precision.
        classify: a frozen classifier, for ``preserve = "semantic"``.
        find: looks for lesions where the set has no masks; by default by redness.
        progress: where to report.
        processes: that train together, each with its share of every batch; the main one writes.

    Returns:
        The trained model and how fast it was.

    Raises:
        InputError: a set is too small or unreadable, or the precision is not possible.
        RefusedError: a training image is, or descends from, a held-out photograph.
        KeyboardInterrupt: the user stopped it; a checkpoint is saved.
    """
    if compute.precision == "fp16":
        raise InputError("--precision fp16 is too narrow for these losses; use bf16 or fp32")
    if config.keeps("semantic") and classify is None:
        raise InputError(
            "--preserve semantic needs --classifier RUN: whose judgement is to be kept"
        )
    used = training_images(source, target)
    if processes.is_main:
        run.record_training([*used[0], *used[1]])
    domains = (
        load_domain(used[0], config.resolution, config.needs_masks, find),
        load_domain(used[1], config.resolution, False),
    )
    if config.colour_start or config.tone_weight > 0:
        domains = with_shifts(*domains)
    training = Trainer(config, compute, classify, processes)
    state = run.load_checkpoint(writing=processes.is_main)
    if state is not None:
        training.load_state(state)
    elif config.colour_start:
        training.start_at_colour_difference(*domains)
    with deferred_interrupts():
        sheet = _loop(training, run, domains, progress, processes.is_main)
    model = run.path / MODEL
    rate = 2 * config.batch * training.step / max(training.seconds, 1e-9)
    if processes.is_main:
        _save(training, run, {"steps": training.step, "images_per_second": rate}, sheet)
    processes.wait()
    return CycleGanResult(model, sheet, training.step, rate)


def _save(training: Trainer, run: RunDir, result: dict[str, float], sheet: Path) -> None:
    save_checkpoint(
        run.path / MODEL,
        _MODEL_KIND,
        {
            "config": training.config.model_dump(mode="json"),
            **{name: average.state_dict() for name, average in training.averages.items()},
        },
    )
    run.finish({**result, "sheet": str(sheet.relative_to(run.path))})


def _loop(
    training: Trainer,
    run: RunDir,
    domains: tuple[Domain, Domain],
    progress: Progress,
    is_main: bool,
) -> Path:
    """Steps, reports, sheets and checkpoints until the run's end; returns the last sheet."""
    config = training.config
    by_time = config.minutes is not None
    total = config.minutes * 60 if config.minutes is not None else config.steps
    done, unit = training.progress * total, "s" if by_time else "steps"
    with progress.task("training CycleGAN", total=total, unit=unit, done=done) as task:
        try:
            while training.progress < 1:
                before = training.progress
                part = int(training.progress * config.snapshots)
                values = training.learn(*domains)
                if not is_main:
                    continue
                if int(training.progress * config.snapshots) > part or training.progress >= 1:
                    run.log(training.step, **values)
                    _snapshot(training, run, domains[0])
                    run.save_checkpoint(training.state(), training.step)
                elif training.step % max(1, config.steps // 200) == 0:
                    run.log(training.step, **values)
                share = training.progress - before
                task.advance(share * total, note=_note(values))
        except KeyboardInterrupt:
            if is_main:
                run.save_checkpoint(training.state(), training.step)
            raise
    if is_main and not _sheet(training, run).is_file():
        return _snapshot(training, run, domains[0])
    return _sheet(training, run)


def _note(values: dict[str, float]) -> str:
    name = "cycle" if "cycle" in values else "nce"
    return f"{name} {values[name]:.3f}"


def load_generator(run: RunDir, compute: Compute) -> tuple[ResnetGenerator, CycleGanConfig]:
    """The trained source-to-target generator with the configuration it was trained with.

    Args:
        run: a finished run of `train_cyclegan`.
        compute: where it is going to compute.

    Returns:
        The generator in evaluation mode, and its configuration.

    Raises:
        InputError: the run is not finished or its model is damaged.
    """
    if not run.finished:
        raise InputError(f"the run '{run.path}' is not finished: repeat its command to resume it")
    stored = load_checkpoint(run.path / MODEL, _MODEL_KIND)
    config = CycleGanConfig(**stored["config"])
    network = config.generator()
    network.load_state_dict(stored["forward"])
    network.to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False), config
