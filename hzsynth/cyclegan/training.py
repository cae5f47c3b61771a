"""Training of CycleGAN (Zhu et al. 2017) with the lesion kept.

The loop is the published one: least-squares adversarial losses, cycle and identity losses,
a pool of 50 earlier fakes, Adam with beta1 0.5, and a learning rate that falls linearly to zero in
the second half. With `preserve = "mask"` the discriminators do not see lesions, and the
translation must keep a lesion's structure and contrast (see `preservation`).

Every random draw of a step follows from the seed and the step's number, and a checkpoint
holds the networks, both optimisers, the pools, the step and the time spent: in float32 on a
CPU an interrupted and resumed run of a given number of steps ends bitwise where the
uninterrupted one does.
"""

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from hzsynth.core.checkpoint import load_checkpoint, save_checkpoint
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_bytes
from hzsynth.core.image_set import ImageSet
from hzsynth.core.interrupt import deferred_interrupts
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import torch_generator
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.domains import (
    Batch,
    Domain,
    draw_batch,
    load_domain,
    training_images,
    typical_colour,
)
from hzsynth.cyclegan.losses import (
    adversarial_loss,
    cycle_loss,
    discriminator_loss,
    identity_loss,
    shift_images,
)
from hzsynth.cyclegan.networks import ResnetGenerator, initialise, to_logits
from hzsynth.cyclegan.preservation import hide_lesions, preservation_loss
from hzsynth.nets.ema import ExponentialMovingAverage
from hzsynth.nets.image_pool import ImagePool
from hzsynth.report.contact_sheet import comparison_rows

MODEL = "model.safetensors"
_MODEL_KIND = "cyclegan-model"
_SHOWN = 8
_GENERATORS = ("forward", "backward")


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


class _Training:
    """Networks, optimisers and pools of a run, and its step."""

    def __init__(self, config: CycleGanConfig, compute: Compute) -> None:
        self.config, self.compute = config, compute
        self.networks: dict[str, nn.Module] = {
            "forward": config.generator(),
            "backward": config.generator(),
            "target": config.discriminator(),
            "source": config.discriminator(),
        }
        for name, network in self.networks.items():
            initialise(network, torch_generator(config.seed, "cyclegan", "weights", name))
            network.to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
        self.optimisers = {
            "generators": self._adam("forward", "backward"),
            "discriminators": self._adam("target", "source"),
        }
        self.averages = {
            name: ExponentialMovingAverage(self.networks[name]) for name in _GENERATORS
        }
        self.pools = {"target": ImagePool(config.pool), "source": ImagePool(config.pool)}
        self.step = 0
        self.seconds = 0.0

    def _adam(self, *names: str) -> torch.optim.Adam:
        values = [p for name in names for p in self.networks[name].parameters()]
        return torch.optim.Adam(values, lr=self.config.learning_rate, betas=(0.5, 0.999))

    def start_at_colour_difference(self, source: Domain, target: Domain) -> None:
        """Lets the generators begin with the shift between the domains' typical colours.

        The adversarial game alone needs thousands of steps for it, and its direction is certain.
        """
        shift = to_logits(typical_colour(target)) - to_logits(typical_colour(source))
        for name, sign in (("forward", 1.0), ("backward", -1.0)):
            network = self.networks[name]
            if isinstance(network, ResnetGenerator) and network.colour is not None:
                network.colour.start_at(sign * shift)
                self.averages[name] = ExponentialMovingAverage(network)

    def state(self) -> dict[str, Any]:
        return {
            "networks": {k: v.state_dict() for k, v in self.networks.items()},
            "optimisers": {k: v.state_dict() for k, v in self.optimisers.items()},
            "averages": {k: v.state_dict() for k, v in self.averages.items()},
            "pools": {k: v.state() for k, v in self.pools.items()},
            "step": self.step,
            "seconds": self.seconds,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        for name, pool in self.pools.items():
            pool.load_state(state["pools"][name], self.compute.device)
        self.step, self.seconds = state["step"], state["seconds"]

    @property
    def progress(self) -> float:
        """Share of the run that is done, by time or else by steps."""
        if self.config.minutes is not None:
            return self.seconds / (60 * self.config.minutes)
        return self.step / self.config.steps

    def learn(self, source: Domain, target: Domain) -> dict[str, float]:
        """One step on one batch of each domain; returns the losses."""
        begin = time.monotonic()
        draws = torch_generator(self.config.seed, "cyclegan", "step", self.step)
        rate = self.config.learning_rate * min(1.0, 2 * (1 - min(1.0, self.progress)))
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate
        a = draw_batch(source, self.config.batch, draws, self.compute.device)
        b = draw_batch(target, self.config.batch, draws, self.compute.device)
        # The same regions are hidden in both domains: a filling must not give fakes away.
        hidden = a.masks if self.config.preserve == "mask" else None
        values, fakes = self._update_generators(a, b, hidden, draws)
        values |= self._update_discriminators(a, b, fakes, hidden, draws)
        self.step += 1
        # The average starts short: a long memory would still hold the untrained weights.
        decay = min(self.config.ema, self.step / (self.step + 10))
        for name, average in self.averages.items():
            average.update(self.networks[name], decay)
        self.seconds += time.monotonic() - begin
        return {name: float(value) for name, value in values.items()} | {"learning_rate": rate}

    def _seen(self, images: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor:
        return images if hidden is None else hide_lesions(images, hidden)

    def _judge(self, name: str, seen: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        judged: torch.Tensor = self.networks[name](shift_images(seen, self.config.shift, draws))
        return judged

    def _update_generators(
        self, a: Batch, b: Batch, hidden: torch.Tensor | None, draws: torch.Generator
    ) -> tuple[dict[str, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
        config, nets = self.config, self.networks
        for name in ("target", "source"):
            nets[name].requires_grad_(False)
        both = len(a.images)
        with self.compute.autocast():
            # One pass for the translation and the identity: instance norm keeps images apart.
            forward = nets["forward"](torch.cat([a.images, b.images]))
            backward = nets["backward"](torch.cat([b.images, a.images]))
            fake_b, same_b = forward[:both], forward[both:]
            fake_a, same_a = backward[:both], backward[both:]
            judged = (
                self._judge("target", self._seen(fake_b, hidden), draws),
                self._judge("source", self._seen(fake_a, hidden), draws),
            )
            returned = (nets["backward"](fake_b), nets["forward"](fake_a))
        values = {
            "adversarial": torch.stack([adversarial_loss(j) for j in judged]).sum(),
            "cycle": cycle_loss(a.images, returned[0]) + cycle_loss(b.images, returned[1]),
            "identity": identity_loss(b.images, same_b) + identity_loss(a.images, same_a),
        }
        total = values["adversarial"] + config.cycle_weight * values["cycle"]
        total = total + config.identity_weight * values["identity"]
        if hidden is not None:
            values["preservation"] = preservation_loss(a.images, fake_b, hidden)
            total = total + config.preserve_weight * values["preservation"]
        self.optimisers["generators"].zero_grad(set_to_none=True)
        total.backward()
        self.optimisers["generators"].step()
        return {k: v.detach() for k, v in values.items()}, (fake_b.detach(), fake_a.detach())

    def _update_discriminators(
        self,
        a: Batch,
        b: Batch,
        fakes: tuple[torch.Tensor, torch.Tensor],
        hidden: torch.Tensor | None,
        draws: torch.Generator,
    ) -> dict[str, torch.Tensor]:
        total = torch.zeros((), device=self.compute.device)
        for name, real, fake in (("target", b, fakes[0]), ("source", a, fakes[1])):
            self.networks[name].requires_grad_(True)
            # Pooled after hiding, since a pooled fake would have lost its mask.
            shown = self.pools[name].query(self._seen(fake, hidden), draws)
            with self.compute.autocast():
                both = torch.cat([self._seen(real.images, hidden), shown])
                judged = self._judge(name, both, draws)
            count = len(real.images)
            total = total + discriminator_loss(judged[:count], judged[count:])
        self.optimisers["discriminators"].zero_grad(set_to_none=True)
        total.backward()
        self.optimisers["discriminators"].step()
        return {"discriminator": total.detach()}

    @torch.no_grad()
    def translated_and_cycled(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Uint8 images -> their translations, and the way back."""
        images = (pixels.to(self.compute.device).float() / 127.5 - 1).contiguous(
            memory_format=self.compute.memory_format
        )
        there = self.averages["forward"].module(images)
        return to_uint8(there), to_uint8(self.averages["backward"].module(there))


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Images in [-1, 1] -> uint8 on the CPU."""
    return ((images.float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def write_sheet(path: Path, rows: dict[str, torch.Tensor]) -> None:
    """Writes rows of pictures (title -> uint8 N x 3 x H x W) as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(comparison_rows(rows, _SHOWN)).save(buffer, "PNG")
    atomic_write_bytes(path, buffer.getvalue())


def _snapshot(training: _Training, run: RunDir, source: Domain, kept: list[Path]) -> Path:
    shown = source.pixels[:_SHOWN]
    translated, cycled = training.translated_and_cycled(shown)
    path = run.path / "samples" / f"step-{training.step:07d}.png"
    write_sheet(path, {"source": shown, "translated": translated, "cycled": cycled})
    kept.append(path)
    return path


def train_cyclegan(
    source: ImageSet,
    target: ImageSet,
    config: CycleGanConfig,
    run: RunDir,
    *,
    compute: Compute,
    progress: Progress = SILENT,
) -> CycleGanResult:
    """Learns to map photographs of `source` onto the skin of `target`.

    Args:
        source: diseased photographs; masks are taken from the set or found by redness.
        target: photographs of the skin to map onto.
        config: settings.
        run: where everything is written; an unfinished run is resumed.
        compute: device and precision.
        progress: where to report.

    Returns:
        The trained model and how fast it was.

    Raises:
        InputError: a set is too small or unreadable, or the precision is not possible.
        RefusedError: a training image is, or descends from, a held-out photograph.
        KeyboardInterrupt: the user stopped it; a checkpoint is saved.
    """
    if compute.precision == "fp16":
        raise InputError("--precision fp16 is too narrow for these losses; use bf16 or fp32")
    used = training_images(source, target)
    run.record_training([*used[0], *used[1]])
    masked = config.preserve == "mask"
    domains = (
        load_domain(used[0], config.resolution, masked),
        load_domain(used[1], config.resolution, False),
    )
    training = _Training(config, compute)
    state = run.load_checkpoint()
    if state is not None:
        training.load_state(state)
    elif config.colour_start:
        training.start_at_colour_difference(*domains)
    with deferred_interrupts():
        sheet = _loop(training, run, domains, progress)
    model = run.path / MODEL
    save_checkpoint(
        model,
        _MODEL_KIND,
        {
            "config": config.model_dump(mode="json"),
            **{name: average.state_dict() for name, average in training.averages.items()},
        },
    )
    rate = 2 * config.batch * training.step / max(training.seconds, 1e-9)
    run.finish(
        {
            "steps": training.step,
            "images_per_second": rate,
            "sheet": str(sheet.relative_to(run.path)),
        }
    )
    return CycleGanResult(model, sheet, training.step, rate)


def _loop(
    training: _Training, run: RunDir, domains: tuple[Domain, Domain], progress: Progress
) -> Path:
    """Steps, reports, sheets and checkpoints until the run's end; returns the last sheet."""
    config = training.config
    sheets: list[Path] = []
    by_time = config.minutes is not None
    total = config.minutes * 60 if config.minutes is not None else config.steps
    done, unit = training.progress * total, "s" if by_time else "steps"
    with progress.task("training CycleGAN", total=total, unit=unit, done=done) as task:
        try:
            while training.progress < 1:
                before = training.progress
                part = int(training.progress * config.snapshots)
                values = training.learn(*domains)
                if int(training.progress * config.snapshots) > part or training.progress >= 1:
                    run.log(training.step, **values)
                    _snapshot(training, run, domains[0], sheets)
                    run.save_checkpoint(training.state(), training.step)
                elif training.step % max(1, config.steps // 200) == 0:
                    run.log(training.step, **values)
                share = training.progress - before
                task.advance(share * total, note=f"cycle {values['cycle']:.3f}")
        except KeyboardInterrupt:
            run.save_checkpoint(training.state(), training.step)
            raise
    return sheets[-1] if sheets else _snapshot(training, run, domains[0], sheets)


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
