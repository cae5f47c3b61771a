"""Training of a GAN on tens of images: an exact resume, live samples, the best moment kept.

Every random draw of a step derives from (seed, step), so the state to resume from is the
networks, their optimisers and averages, the moments seen so far and the step: in float32 on a CPU
an interrupted and resumed run ends bitwise where the uninterrupted one does.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch

from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_learned, check_lineage, in_role, learned_from
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.core.training_loop import Budget, TrainingLoop
from hzsynth.core.training_state import Memory
from hzsynth.gan.adversarial_step import AdversarialStep
from hzsynth.gan.augmentation import DiscriminatorAugmentation
from hzsynth.gan.backends import backend_named
from hzsynth.gan.config import GanConfig
from hzsynth.gan.generator_files import LAST, MODEL, save_generator
from hzsynth.gan.interfaces import DiscriminatorNetwork, GeneratorNetwork
from hzsynth.gan.model_card import FILE as CARD
from hzsynth.gan.model_card import model_card
from hzsynth.gan.networks import build_discriminator, build_generator, to_float
from hzsynth.gan.photographs import Photographs, choose_photographs, photograph_alarms
from hzsynth.gan.real_views import LearnedImages, RealViews, prepare_discriminator
from hzsynth.gan.snapshot_files import KID_CURVE, VARIETY_CURVE
from hzsynth.gan.snapshots import Score, Snapshots
from hzsynth.gan.training_result import GanResult
from hzsynth.gan.transfer import start_from
from hzsynth.nets.ema import ExponentialMovingAverage

NO_GAIN = "no gain"
"""Why a run ended before its budget: its patience was at an end."""


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
        RefusedError: a photograph to learn from touches a held-out one.
        TrainingDivergedError: a loss is no longer a number.
    """
    photographs = choose_photographs(images, config)
    learned = _proven(images, photographs, config)
    if processes.is_main:
        run.record_training(learned)
    training = _Training(photographs, config, run, compute, progress, score, processes)
    training.to_its_end()
    return training.finished()


def _proven(
    images: ImageSet, photographs: Photographs, config: GanConfig
) -> tuple[TrainingImage, ...]:
    """The run's list: learned from, watched, and learned from by the run that it starts from.

    Raises:
        RefusedError: one of them touches a held-out photograph of the set.
    """
    held_out = [images.held_out_part()]
    parts = [photographs.train, photographs.held_out]
    check_lineage(parts, held_out)
    inherited: tuple[TrainingImage, ...] = ()
    if config.init is not None:
        before = RunDir.load(config.init, "gan")
        inherited = before.training_images()
        check_learned(before.id, inherited, held_out, [images])
    watched = in_role(learned_from([photographs.held_out]), "watched")
    return (*learned_from([photographs.train], inherited), *watched)


def copied(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The network's state, on the CPU and apart from what training goes on to change."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def prepared_networks(
    config: GanConfig, learned: LearnedImages, device: torch.device
) -> tuple[GeneratorNetwork, DiscriminatorNetwork]:
    """Both networks as they are before the first step.

    Args:
        config: the run's settings.
        learned: what is learned from: gives the first images their colour, and frozen features their
            spread.
        device: where the networks are needed; they are prepared on the CPU, alike for every device.

    Raises:
        InputError: a package or its weights are missing, or there are not so many blocks to freeze.
    """
    generator = build_generator(config, learned.class_count)
    generator.set_colour(to_float(learned.pixels).mean(dim=(0, 2, 3)))
    discriminator = build_discriminator(config, learned.class_count)
    prepare_discriminator(discriminator, learned, config)
    discriminator.freeze_first_blocks(config.freeze_d)
    return generator.to(device), discriminator.to(device)


class _KeptState:
    """What a checkpoint keeps of a discriminator: all that does not come from a package."""

    def __init__(self, network: DiscriminatorNetwork) -> None:
        self._network = network

    def state_dict(self) -> dict[str, Any]:
        return self._network.state_to_keep()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._network.load_state_dict({**self._network.state_dict(), **state})


class _Training:
    """One run: what it learns, what the loop calls, and how it ends.

    The step takes the networks as they are prepared, since its optimisers hold the weights that are
    not frozen; the average copies the generator and so comes after its colour. What the reals are
    observed with may come from a checkpoint: `to_its_end` makes their views after it was loaded.
    """

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
        self._learned, labels = _learned(photographs, config)
        networks = prepared_networks(config, self._learned, compute.device)
        self._augment = DiscriminatorAugmentation(config)
        objective = backend_named(config.backend).objective(config)
        self._update = AdversarialStep(
            *networks, objective, config, self._augment, compute, processes
        )
        self._average = ExponentialMovingAverage(networks[0])
        self._memory = Memory(labels=labels, last={}, alarms=(), best=copied(self._averaged))
        watched = config.model_copy(update={"watch": config.watch and processes.is_main})
        self._snapshots = Snapshots(
            photographs, self._learned, watched, run, compute=compute, score=score
        )
        self._loop = TrainingLoop(
            run,
            Budget(config.total_steps, config.minutes),
            checkpoint_seconds=config.checkpoint_seconds,
            device=compute.device,
            processes=processes,
        )
        self._register()

    def _register(self) -> None:
        update = self._update
        self._loop.register(
            generator=update.generator,
            average=self._average,
            discriminator=_KeptState(update.discriminator),
            descend_generator=update.descend_generator,
            descend_discriminator=update.descend_discriminator,
            augment=self._augment,
            choice=self._snapshots.choice,
            memory=self._memory,
        )
        if update.objective.path_length is not None:
            self._loop.register(path_length=update.objective.path_length)

    def to_its_end(self) -> None:
        """Trains until the stopping rule holds."""
        if not self._loop.load_latest():
            self._begin()
        reals = RealViews(
            self._learned,
            self._config,
            self._update.discriminator,
            self._augment,
            self._compute,
            self._progress,
            self._update.share,
            self._loop.step,
        )
        self._loop.run(
            lambda step: self._advance(step, reals),
            self._look,
            beside=self._pace,
            describe=lambda m: f"D {m['loss_discriminator']:.2f} G {m['loss_generator']:.2f}",
            progress=self._progress,
            description="training the GAN",
        )

    def _begin(self) -> None:
        """The start of a new run, perhaps from another's weights."""
        if self._processes.is_main:
            self._clear_former_results()
        if self._config.init is not None:
            update, average = self._update, self._average.module
            start_from(
                self._config.init, self._config, update.generator, average, update.discriminator
            )
            self._memory.best = copied(self._averaged)

    def _clear_former_results(self) -> None:
        """What an earlier run left at this place must not pass for this run's."""
        for name in (MODEL, LAST, CARD, KID_CURVE, VARIETY_CURVE):
            (self._run.path / name).unlink(missing_ok=True)
        for sheet in (self._run.path / "samples").glob("*.png"):
            sheet.unlink()

    def _advance(self, step: int, reals: RealViews) -> dict[str, torch.Tensor]:
        self._augment.elapsed(self._loop.share)
        values = self._update(step, reals.observation(step))
        decay = self._config.ema
        if self._config.init is None:
            # Short at first: the average would long remember the fresh weights that it began with.
            decay = min(decay, (1 + step) / (10 + step))
        self._average.update(self._update.generator, decay)
        return values

    def _look(self) -> str:
        """Takes a snapshot of the averaged generator now and then; a note for the progress bar."""
        loop, config = self._loop, self._config
        every = max(1, round(config.snapshot_kimg * 1000 / config.batch))
        if not self._processes.is_main or (loop.step % every and not loop.spent):
            return ""
        loop.refuse_divergence()  # a generator that is no longer a number is not worth a look
        snapshot = self._snapshots(loop.step, self._averaged)
        self._memory.last = snapshot.values
        if snapshot.best:
            self._memory.best = copied(self._averaged)
            self._memory.alarms = snapshot.alarms
            # Usable at once: a run that is stopped here leaves its best generator so far.
            self._save_generator(MODEL, self._memory.best)
        if self._snapshots.choice.stop:
            loop.stop(NO_GAIN)
        if snapshot.alarms:
            return "ALARM: " + "; ".join(alarm.split(":")[0] for alarm in snapshot.alarms)
        return f"KID {snapshot.values['kid']:.3f}" if "kid" in snapshot.values else ""

    def _pace(self) -> dict[str, float]:
        loop, batch = self._loop, self._config.batch
        return {
            "kimg": loop.step * batch / 1000,
            "seconds": round(loop.seconds, 2),
            "images_per_second": round(loop.steps_per_second * batch, 2),
        }

    @property
    def _averaged(self) -> GeneratorNetwork:
        return cast(GeneratorNetwork, self._average.module)

    def _save_generator(self, name: str, weights: Mapping[str, torch.Tensor]) -> None:
        save_generator(self._run.path / name, weights, self._config, self._memory.labels)

    def finished(self) -> GanResult:
        """Stores what the run came to."""
        loop, memory = self._loop, self._memory
        kept = self._snapshots.choice.best
        result = GanResult(
            run=self._run,
            labels=memory.labels,
            training_images=len(self._photographs.train),
            held_out_images=len(self._photographs.held_out),
            steps=loop.step,
            images_shown=loop.step * self._config.batch,
            seconds=loop.seconds,
            images_per_second=loop.steps_per_second * self._config.batch,
            stopped=loop.stopped,
            best_step=loop.step if kept is None else kept.step,
            best={} if kept is None else kept.figures(),
            last=memory.last,
            alarms=(*photograph_alarms(self._learned.pixels), *memory.alarms),
        )
        if self._processes.is_main:
            self._save_generator(MODEL, memory.best)
            self._save_generator(LAST, self._averaged.state_dict())
            values = result.to_json()
            atomic_write_text(self._run.path / CARD, model_card(self._run, values))
            self._run.finish(values)
        self._processes.wait()
        return result


def _learned(photographs: Photographs, config: GanConfig) -> tuple[LearnedImages, tuple[str, ...]]:
    """What is learned from, and the names of the classes that the generator makes."""
    told = config.conditional and len(photographs.labels) > 1
    pixels = photographs.pixels(photographs.train, config.resolution)
    if told:
        classes = photographs.classes(photographs.train)
        return LearnedImages(pixels, classes, len(photographs.labels)), photographs.labels
    only = photographs.labels if len(photographs.labels) == 1 else ("all",)
    return LearnedImages(pixels), only
