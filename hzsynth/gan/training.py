"""Training of a GAN on tens of images: one loop, an exact resume, live samples.

Every random draw of a step derives from (seed, step), so the state to resume from is the
networks, their optimisers and averages, the moments seen so far and the step: in float32 on a CPU
an interrupted and resumed run ends bitwise where the uninterrupted one does.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch

from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import HzsynthError
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageSet
from hzsynth.core.interrupt import deferred_interrupts
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.gan.augmenting import Augmenter
from hzsynth.gan.config import GanConfig
from hzsynth.gan.model_card import FILE as CARD
from hzsynth.gan.model_card import model_card
from hzsynth.gan.networks import GeneratorNetwork, build_discriminator, build_generator, to_float
from hzsynth.gan.objectives import AdversarialStep
from hzsynth.gan.photographs import Photographs, choose_photographs, photograph_alarms
from hzsynth.gan.reals import LearnedImages, Reals, prepare_discriminator
from hzsynth.gan.sampling import LAST, MODEL, save_generator
from hzsynth.gan.snapshots import KID_CURVE, VARIETY_CURVE, Score
from hzsynth.gan.transfer import freeze_first_blocks, start_from
from hzsynth.gan.watching import Watch
from hzsynth.nets.ema import ExponentialMovingAverage

RUN_KIND = "gan"
REPORT_STEPS = 25


class TrainingDivergedError(HzsynthError):
    """A loss is no longer a number; the run keeps its last good checkpoint."""

    exit_code = 1


@dataclass(frozen=True)
class GanResult:
    """What a training run came to.

    Attributes:
        run: where everything lies: ``model.safetensors`` (the best moment), ``last.safetensors``,
            ``samples/``, ``metrics.jsonl``, ``kid.png``, ``variety.png``.
        labels: class names of the images that the generator makes.
        training_images: how many photographs it learned from.
        held_out_images: how many only watched.
        steps: updates of both networks.
        images_shown: steps times batch.
        seconds: training time, over all resumptions.
        images_per_second: of the part that this call trained; 0 when nothing was left to do.
        stopped: ``budget``, or ``no gain`` when the patience ended it.
        best_step: of the moment that was kept; the last step in a run that is not watched.
        best: its figures: ``kid``, ``kid_error``, ``copies``, ``diversity``; empty if not watched.
        last: the last snapshot's figures.
        alarms: about the photographs, and of the moment that was kept.
    """

    run: RunDir
    labels: tuple[str, ...]
    training_images: int
    held_out_images: int
    steps: int
    images_shown: int
    seconds: float
    images_per_second: float
    stopped: str
    best_step: int
    best: dict[str, float]
    last: dict[str, float]
    alarms: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, as it is stored in the run."""
        return {
            "labels": list(self.labels),
            "training_images": self.training_images,
            "held_out_images": self.held_out_images,
            "steps": self.steps,
            "images_shown": self.images_shown,
            "seconds": round(self.seconds, 2),
            "images_per_second": round(self.images_per_second, 2),
            "stopped": self.stopped,
            "best_step": self.best_step,
            "best": self.best,
            "last": self.last,
            "alarms": list(self.alarms),
        }


def train_gan(
    images: ImageSet,
    config: GanConfig,
    run: RunDir,
    *,
    compute: Compute = CPU_FP32,
    progress: Progress = SILENT,
    score: Score | None = None,
    processes: Processes = ALONE,
) -> GanResult:
    """Trains a GAN, or goes on where the run's checkpoint left off.

    Args:
        images: the set; only its real images of the train split are used.
        config: the settings. ``kimg`` fixes the number of steps and so the result; ``minutes``
            stops by the clock; a watched run may stop before, when nothing is gained any more.
        run: where everything is written.
        compute: where, in fp32 or bf16.
        progress: shows the work.
        score: called with the averaged generator's samples (uint8 N x 3 x H x W) at every
            snapshot; its values go to the metrics.
        processes: that train together; only the main one writes, watches and scores.

    Returns:
        The result; the same is stored as the run's.

    Raises:
        InputError: no training image.
        TrainingDivergedError: a loss is no longer a number.
    """
    photographs = choose_photographs(images, config)
    inherited = () if config.init is None else RunDir.load(config.init, "gan").training_images()
    if processes.is_main:
        run.record_training(photographs.train, inherited)
    training = _Training(photographs, config, run, compute, progress, score, processes)
    return training.to_its_end()


def copied(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The network's state, on the CPU and apart from what training goes on to change."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


class _Training:
    """The state of one run and the phases that its loop walks through."""

    def __init__(
        self,
        photographs: Photographs,
        config: GanConfig,
        run: RunDir,
        compute: Compute,
        progress: Progress,
        score: Score | None,
        processes: Processes,
    ) -> None:
        self._photographs, self._config, self._run = photographs, config, run
        self._compute, self._progress, self._processes = compute, progress, processes
        told = config.conditional and len(photographs.labels) > 1
        one_name = len(photographs.labels) == 1 or told
        self._labels = photographs.labels if one_name else ("all",)
        pixels = photographs.pixels(photographs.train, config.resolution)
        learned = LearnedImages(pixels, photographs.classes(photographs.train) if told else None)
        classes = len(photographs.labels) if told else 0
        generator = build_generator(config, classes)
        generator.colour.set_colour(to_float(pixels).mean(dim=(0, 2, 3)))
        discriminator = build_discriminator(config, classes)
        prepare_discriminator(discriminator, learned, config)
        generator, discriminator = generator.to(compute.device), discriminator.to(compute.device)
        freeze_first_blocks(discriminator, config.freeze_d)
        self._augment = Augmenter(config)
        self._update = AdversarialStep(
            generator, discriminator, config, self._augment, compute, processes
        )
        self._average = ExponentialMovingAverage(generator)
        self._best = copied(self._averaged())
        watched = config.model_copy(update={"watch": config.watch and processes.is_main})
        self._watch = Watch(
            photographs, pixels, watched, run, told=told, compute=compute, score=score
        )
        self._step = 0
        self._seconds = 0.0
        self._sums: dict[str, torch.Tensor] = {}
        self._summed = 0
        self._last: dict[str, float] = {}
        self._about_photographs = photograph_alarms(pixels)
        self._alarms: tuple[str, ...] = ()
        self._load_latest()
        self._reals = Reals(
            learned, config, discriminator, self._augment, compute, progress, self._update.share
        )
        self._first_step, self._first_seconds = self._step, self._seconds
        self._clock = self._checkpointed = time.monotonic()

    def to_its_end(self) -> GanResult:
        """Trains until the stopping rule holds."""
        config = self._config
        by_time = config.minutes is not None
        total = config.minutes * 60 if config.minutes is not None else config.total_steps
        done = self._seconds if by_time else self._step
        with (
            self._progress.task(
                "training the GAN", total, "s" if by_time else "step", done
            ) as task,
            deferred_interrupts(),
        ):
            try:
                over = self._agree_whether_over()
                while not over:
                    before = self._seconds
                    note = self._advance()
                    note = self._snapshot_when_due() or note
                    over = self._agree_whether_over()
                    self._report_when_due(over)
                    self._checkpoint_when_due(over)
                    task.advance(self._seconds - before if by_time else 1, note)
            except KeyboardInterrupt:
                self._checkpoint()
                raise
        return self._finish()

    def _agree_whether_over(self) -> bool:
        return self._processes.agreed(self._spent() or self._watch.selection.stop)

    def _spent(self) -> bool:
        """Whether the budget is used up."""
        if self._config.minutes is not None:
            # One step at least: a generator that never learned would be saved otherwise.
            return self._step > 0 and self._seconds >= self._config.minutes * 60
        return self._step >= self._config.total_steps

    def _advance(self) -> str:
        """One update; returns a note for the progress bar now and then."""
        step = self._step
        values = self._update(step, self._reals.observation(step))
        decay = min(self._config.ema, (1 + step) / (10 + step))
        self._average.update(self._update.generator, decay)
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value
        self._summed += 1
        self._step += 1
        self._tick()
        if self._summed < REPORT_STEPS:
            return ""
        return (
            f"D {float(values['loss_discriminator']):.2f} G {float(values['loss_generator']):.2f}"
        )

    def _tick(self) -> None:
        now = time.monotonic()
        self._seconds += now - self._clock
        self._clock = now

    def _means(self) -> dict[str, float]:
        """Averages since the last report.

        Raises:
            TrainingDivergedError: one of them is not a finite number.
        """
        means = {name: float(total) / self._summed for name, total in self._sums.items()}
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            raise TrainingDivergedError(
                f"training diverged before step {self._step}: {bad[0]} is not a number; the run "
                f"'{self._run.path}' keeps its last checkpoint, try lower learning rates"
            )
        return means

    def _report_when_due(self, over: bool) -> None:
        if self._summed < REPORT_STEPS and not over:
            return
        means = self._means()
        if self._processes.is_main:
            self._run.log(
                self._step,
                kimg=self._step * self._config.batch / 1000,
                seconds=round(self._seconds, 2),
                images_per_second=round(self._rate(), 2),
                **means,
            )
        self._sums, self._summed = {}, 0

    def _rate(self) -> float:
        shown = (self._step - self._first_step) * self._config.batch
        return shown / max(1e-9, self._seconds - self._first_seconds)

    def _snapshot_when_due(self) -> str:
        """Looks at the averaged generator now and then; returns a note for the progress bar."""
        every = max(1, round(self._config.snapshot_kimg * 1000 / self._config.batch))
        if not self._processes.is_main or (self._step % every and not self._spent()):
            return ""
        if self._summed:
            self._means()  # a generator that is no longer a number is not worth a look
        look = self._watch(self._step, self._averaged())
        self._last = look.values
        if look.best:
            self._best = copied(self._averaged())
            self._alarms = look.alarms
            # Usable at once: a run that is stopped here leaves its best generator so far.
            self._save_generator(MODEL, self._best)
        self._tick()
        if look.alarms:
            return "ALARM: " + "; ".join(alarm.split(":")[0] for alarm in look.alarms)
        return f"KID {look.values['kid']:.3f}" if "kid" in look.values else ""

    def _save_generator(self, name: str, weights: Mapping[str, torch.Tensor]) -> None:
        save_generator(self._run.path / name, weights, self._config, self._labels)

    def _checkpoint_when_due(self, over: bool) -> None:
        waited = time.monotonic() - self._checkpointed
        if waited >= self._config.checkpoint_seconds or over:
            self._checkpoint()

    def _checkpoint(self) -> None:
        if self._summed:
            self._means()  # a state that is no longer a number must not replace a good one
        if not self._processes.is_main:
            return
        self._run.save_checkpoint(self._state(), self._step)
        self._checkpointed = time.monotonic()

    def _averaged(self) -> GeneratorNetwork:
        return cast(GeneratorNetwork, self._average.module)

    def _state(self) -> dict[str, Any]:
        update = self._update
        return {
            "step": self._step,
            "seconds": self._seconds,
            "sums": self._sums,
            "summed": self._summed,
            "last": self._last,
            "alarms": list(self._alarms),
            "labels": list(self._labels),
            "watch": self._watch.state(),
            "augment": self._augment.state(),
            "best": self._best,
            "generator": update.generator.state_dict(),
            "average": self._average.state_dict(),
            "discriminator": update.discriminator.state_to_keep(),
            "descend_generator": update.descend_generator.state_dict(),
            "descend_discriminator": update.descend_discriminator.state_dict(),
            "mean_path_length": update.mean_path_length,
        }

    def _load_latest(self) -> None:
        main = self._processes.is_main
        state = self._run.load_checkpoint(writing=main)
        if state is None:
            if main:
                self._clear_former_results()
            if self._config.init is not None:
                update, average = self._update, self._average.module
                start_from(
                    self._config.init, self._config, update.generator, average, update.discriminator
                )
                self._best = copied(self._averaged())
            return
        device, update = self._compute.device, self._update
        self._step, self._seconds = state["step"], state["seconds"]
        self._sums = {name: value.to(device) for name, value in state["sums"].items()}
        self._summed, self._last = state["summed"], state["last"]
        self._alarms = tuple(state["alarms"])
        self._watch.load(state["watch"])
        self._augment.load(state["augment"])
        self._best = state["best"]
        update.generator.load_state_dict(state["generator"])
        self._average.load_state_dict(state["average"])
        kept = {**update.discriminator.state_dict(), **state["discriminator"]}
        update.discriminator.load_state_dict(kept)
        update.descend_generator.load_state_dict(state["descend_generator"])
        update.descend_discriminator.load_state_dict(state["descend_discriminator"])
        update.mean_path_length = state["mean_path_length"].to(device)

    def _clear_former_results(self) -> None:
        """What an earlier run left at this place must not pass for this run's."""
        for name in (MODEL, LAST, CARD, KID_CURVE, VARIETY_CURVE):
            (self._run.path / name).unlink(missing_ok=True)
        for sheet in (self._run.path / "samples").glob("*.png"):
            sheet.unlink()

    def _finish(self) -> GanResult:
        kept = self._watch.selection.best
        result = GanResult(
            run=self._run,
            labels=self._labels,
            training_images=len(self._photographs.train),
            held_out_images=len(self._photographs.held_out),
            steps=self._step,
            images_shown=self._step * self._config.batch,
            seconds=self._seconds,
            images_per_second=self._rate() if self._step > self._first_step else 0.0,
            stopped="budget" if self._spent() else "no gain",
            best_step=self._step if kept is None else kept.step,
            best={} if kept is None else kept.figures(),
            last=self._last,
            alarms=(*self._about_photographs, *self._alarms),
        )
        if self._processes.is_main:
            self._save_generator(MODEL, self._best)
            self._save_generator(LAST, self._averaged().state_dict())
            values = result.to_json()
            atomic_write_text(self._run.path / CARD, model_card(self._run, values))
            self._run.finish(values)
        self._processes.wait()
        return result
