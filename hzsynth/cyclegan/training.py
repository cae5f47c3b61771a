"""The translation of lesions onto other skin: a tone map in closed form, or CycleGAN with the lesion kept.

By default the map between the skin colours of both domains is computed (see `colour_start`), which takes no
training. ``objective = "cyclegan"`` trains a CycleGAN (Zhu et al. 2017) that starts there.

The loop is the published one: least-squares adversarial losses, cycle and identity losses,
a pool of 50 earlier fakes, Adam with beta1 0.5, and a learning rate that falls linearly to zero in
the second half. `preserve` says how lesions are kept (see `config.WAYS` and `preservation`), and
`objective = "cut"` puts PatchNCE in the place of cycle and identity (see `contrastive`).

Every random draw of a step follows from the seed and the step's number: in float32 on a CPU an
interrupted and resumed run of a given number of steps ends bitwise where the uninterrupted one does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hzsynth.core.checkpoint import load_checkpoint, save_checkpoint
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_files import write_png
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_learned, learned_from
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.core.training_loop import Budget, TrainingLoop
from hzsynth.cyclegan.adversaries import Adversaries
from hzsynth.cyclegan.colour import to_uint8
from hzsynth.cyclegan.colour_start import ToneMap, with_shifts
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.domains import (
    Domain,
    FindLesion,
    load_domain,
    training_images,
)
from hzsynth.cyclegan.networks import ResnetGenerator, build_generator
from hzsynth.cyclegan.objectives import BACKWARD, FORWARD, Classify
from hzsynth.data.lesion import lesion_mask
from hzsynth.report.contact_sheet import comparison_rows

MODEL = "model.safetensors"
_MODEL_KIND = "cyclegan-model"
_SHOWN = 8

Generator = ResnetGenerator | ToneMap


@dataclass(frozen=True)
class CycleGanResult:
    """What `train_cyclegan` made.

    Attributes:
        model: file of the trained generators with their configuration.
        sheet: newest sample sheet: source, translated, cycled.
        steps: optimiser steps.
        images_per_second: images of both domains that were learned from in a second of the run, sheets
            and checkpoints included.
    """

    model: Path
    sheet: Path
    steps: int
    images_per_second: float


def train_cyclegan(
    source: ImageSet,
    target: ImageSet,
    config: CycleGanConfig,
    run: RunDir,
    *,
    compute: Compute,
    classify: Classify | None = None,
    find: FindLesion = lesion_mask,
    behind: Mapping[str, Iterable[TrainingImage]] = MappingProxyType({}),
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
        behind: what the runs behind `classify` and `find` learned from, by their ids.
        progress: where to report.
        processes: that train together, each with its share of every batch; the main one writes.

    Returns:
        The trained model and how fast it was.

    Raises:
        InputError: a set is too small or unreadable, or the precision is not possible.
        RefusedError: a training image is, or descends from, a held-out photograph.
        TrainingDivergedError: a loss or a weight is no longer a number.
        KeyboardInterrupt: the user stopped it; a checkpoint is saved.
    """
    _refuse_impossible(config, compute, classify)
    used = training_images(source, target)
    listed = _proven(source, target, used, behind)
    if processes.is_main:
        run.record_training(listed)
    domains = _load(*used, config, find)
    if config.objective == "tone":
        return _fit_tone_maps(domains, config, run, processes)
    adversaries = Adversaries(config, compute, classify, processes)
    loop = _loop(adversaries, config, run, compute, processes)
    if not loop.load_latest() and config.colour_start:
        adversaries.start_at_colour_difference(*domains)
    _learn(adversaries, domains, loop, config, run, progress, processes)
    if processes.is_main:
        _finish(adversaries, config, run, loop, domains[0])
    processes.wait()
    return CycleGanResult(
        run.path / MODEL, _sheet(run, loop.step), loop.step, _images_per_second(config, loop)
    )


def _proven(
    source: ImageSet,
    target: ImageSet,
    used: tuple[ImageSet, ImageSet],
    behind: Mapping[str, Iterable[TrainingImage]],
) -> tuple[TrainingImage, ...]:
    """The run's list: what is learned from, and what the classifiers that take part learned from.

    Raises:
        RefusedError: a classifier has seen what touches a held-out photograph of either set.
    """
    held_out = [source.held_out_part(), target.held_out_part()]
    inherited: list[TrainingImage] = []
    for name, learned in behind.items():
        learned = tuple(learned)
        check_learned(name, learned, held_out, [source, target])
        inherited += learned
    return learned_from(used, inherited)


def _learn(
    adversaries: Adversaries,
    domains: tuple[Domain, Domain],
    loop: TrainingLoop,
    config: CycleGanConfig,
    run: RunDir,
    progress: Progress,
    processes: Processes,
) -> None:
    def show_when_due() -> str:
        if processes.is_main and loop.passed(config.snapshots):
            _write_sheet(adversaries, domains[0], _sheet(run, loop.step))
        return ""

    loop.run(
        lambda step: adversaries.update(step, loop.share, *domains),
        show_when_due,
        beside=lambda: {"learning_rate": adversaries.learning_rate},
        describe=_note,
        progress=progress,
        description="training CycleGAN",
    )


def _fit_tone_maps(
    domains: tuple[Domain, Domain], config: CycleGanConfig, run: RunDir, processes: Processes
) -> CycleGanResult:
    sheet = _sheet(run, 0)
    if processes.is_main:
        there, back = (ToneMap.between(domain) for domain in domains)
        pixels = domains[0].pixels[:_SHOWN]
        mapped = there(pixels.float() / 127.5 - 1)
        rows = {"source": pixels, "translated": to_uint8(mapped), "cycled": to_uint8(back(mapped))}
        write_png(sheet, comparison_rows(rows, _SHOWN))
        maps = {FORWARD: there.state_dict(), BACKWARD: back.state_dict()}
        _save_model(run, config, maps, sheet, steps=0, images_per_second=0.0)
    processes.wait()
    return CycleGanResult(run.path / MODEL, sheet, 0, 0.0)


def _save_model(
    run: RunDir, config: CycleGanConfig, networks: Mapping[str, Any], sheet: Path, **result: float
) -> None:
    state = {"config": config.model_dump(mode="json"), **networks}
    save_checkpoint(run.path / MODEL, _MODEL_KIND, state)
    run.finish({**result, "sheet": str(sheet.relative_to(run.path))})


def _loop(
    adversaries: Adversaries,
    config: CycleGanConfig,
    run: RunDir,
    compute: Compute,
    processes: Processes,
) -> TrainingLoop:
    loop = TrainingLoop(
        run,
        Budget(config.steps, config.minutes),
        checkpoint_seconds=config.checkpoint_seconds,
        device=compute.device,
        processes=processes,
    )
    adversaries.register_in(loop)
    return loop


def _finish(
    adversaries: Adversaries,
    config: CycleGanConfig,
    run: RunDir,
    loop: TrainingLoop,
    source: Domain,
) -> None:
    sheet = _sheet(run, loop.step)
    if not sheet.is_file():
        _write_sheet(adversaries, source, sheet)
    averages = {name: average.state_dict() for name, average in adversaries.averages.items()}
    rate = _images_per_second(config, loop)
    _save_model(run, config, averages, sheet, steps=loop.step, images_per_second=rate)


def _images_per_second(config: CycleGanConfig, loop: TrainingLoop) -> float:
    return 2 * config.batch * loop.step / max(loop.seconds, 1e-9)


def _refuse_impossible(config: CycleGanConfig, compute: Compute, classify: Classify | None) -> None:
    if compute.precision == "fp16":
        raise InputError("`precision` fp16 is too narrow for these losses; use bf16 or fp32")
    if config.keeps("semantic") and classify is None:
        raise InputError("`preserve` semantic needs a `classifier`: whose judgement is to be kept")


def _load(
    source: ImageSet, target: ImageSet, config: CycleGanConfig, find: FindLesion
) -> tuple[Domain, Domain]:
    domains = (
        load_domain(source, config.resolution, config.needs_masks, find),
        load_domain(target, config.resolution, False),
    )
    if config.objective == "tone" or config.colour_start or config.tone_weight > 0:
        return with_shifts(*domains)
    return domains


def _sheet(run: RunDir, step: int) -> Path:
    return run.path / "samples" / f"step-{step:07d}.png"


def _write_sheet(adversaries: Adversaries, source: Domain, path: Path) -> None:
    write_png(path, comparison_rows(adversaries.shown(source.pixels[:_SHOWN]), _SHOWN))


def _note(means: Mapping[str, float]) -> str:
    name = "cycle" if "cycle" in means else "nce"
    return f"{name} {means[name]:.3f}"


def load_generator(run: RunDir, compute: Compute) -> tuple[Generator, CycleGanConfig]:
    """The source-to-target generator with the configuration it was trained with.

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
    network = ToneMap() if config.objective == "tone" else build_generator(config)
    network.load_state_dict(stored["forward"])
    network.to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False), config
