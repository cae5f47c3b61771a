"""The training loop of this room: phases, validation, the best checkpoint, exact resume.

Batches and augmentations follow from (seed, step), so the state to resume from is the
network, its average, the phase's optimiser, the best weights so far and the step: in float32
on a CPU an interrupted and resumed training ends bitwise where the uninterrupted one does.
"""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from sklearn.metrics import accuracy_score, f1_score
from torch import nn
from torch.nn import functional

from hzsynth.classify.models import Triple, normalise, to_unit
from hzsynth.classify.train.finetuning import (
    Optimiser,
    Phase,
    Schedule,
    Stateful,
    make_optimiser,
    rate_factor,
    relative_gradient_norms,
    set_mode,
)
from hzsynth.classify.train.loading import LabelledImages, TrainingData
from hzsynth.core.config import Config
from hzsynth.core.devices import Compute
from hzsynth.core.errors import HzsynthError, InputError
from hzsynth.core.interrupt import deferred_interrupts
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import Progress
from hzsynth.core.run import RunDir
from hzsynth.nets.ema import ExponentialMovingAverage
from hzsynth.nets.synchronised import synchronise_batch_norms

_AT_ONCE = 64


class TrainingDivergedError(HzsynthError):
    """The loss is no longer a number; the run keeps its last good checkpoint."""

    exit_code = 1


class FittingConfig(Config):
    """The settings that every training of this room has."""

    label: str = Field("herpes_zoster", description="target class, reported on its own")
    size: int = Field(128, ge=16, le=1024, description="side of the input, pixels")
    batch: int = Field(16, ge=2, le=4096, description="images a step")
    learning_rate: float = Field(3e-4, gt=0, description="Adam's rate of the whole network")
    head_learning_rate: float = Field(
        1e-3, gt=0, description="Adam's rate of a head that starts at random"
    )
    weight_decay: float = Field(1e-5, ge=0, description="Adam's weight decay")
    optimiser: Optimiser = Field(
        "adam", description="adam, or adamw, whose weight decay is apart from the gradient"
    )
    schedule: Schedule = Field(
        "cosine", description="of the rates after a warm-up: cosine, linear or constant"
    )
    linear_share: float = Field(
        0.5, gt=0, lt=1, description="LP-FT: share of the steps that train the head only"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: cross-entropy weighs every class the same"
    )
    balanced_sampler: bool = Field(False, description="draw the class first, then its image")
    augment: Literal["none", "flip", "match"] = Field(
        "match",
        description=(
            "flip: mirror half of the training images; match: also vary photographs of every "
            "class as often as the filled class's images are; none"
        ),
    )
    average: bool = Field(True, description="use a moving average (EMA) of the weights")
    average_decay: float = Field(0.98, ge=0, lt=1, description="its decay a step, at most")
    evaluate_every: int = Field(10, ge=1, description="steps between two looks at validation")
    patience: int = Field(
        0, ge=0, description="stop after so many looks without gain; 0: train all steps"
    )
    checkpoint_seconds: float = Field(30.0, ge=0, description="time between two checkpoints")
    seed: int = Field(0, description="root of all random draws")


@dataclass(frozen=True)
class Fitted:
    """What a training came to.

    Attributes:
        network: with the best weights, in evaluation mode.
        best_step: after which they were reached.
        steps: that were made.
        validation: scores of the best weights (see `validation_scores`).
        seconds: over all resumptions.
    """

    network: nn.Module
    best_step: int
    steps: int
    validation: dict[str, float]
    seconds: float


def refuse_fp16(compute: Compute) -> None:
    """Raises InputError for fp16: without loss scaling its gradients vanish."""
    if compute.precision == "fp16":
        raise InputError("--precision fp16 is not offered for classifiers; use bf16 or fp32")


@torch.no_grad()
def predict_logits(
    network: nn.Module,
    pixels: torch.Tensor,
    normalisation: tuple[Triple, Triple],
    compute: Compute,
) -> torch.Tensor:
    """Logits of a network in evaluation mode: uint8 N x 3 x H x W -> float32 N x C on the CPU."""
    parts = []
    for chunk in pixels.split(_AT_ONCE):
        with compute.autocast():
            inputs = normalise(to_unit(chunk, compute), *normalisation)
            parts.append(network(inputs).float().cpu())
    return torch.cat(parts)


def validation_scores(logits: torch.Tensor, targets: torch.Tensor, target: int) -> dict[str, float]:
    """Scores that a checkpoint is chosen by.

    Args:
        logits: float N x C.
        targets: int64 N.
        target: place of the target class.

    Returns:
        ``loss`` (cross-entropy in nats), ``accuracy``, ``macro_f1`` and ``f1_target``; a class
        that is neither there nor predicted does not count, one without a hit has F1 0.
    """
    predicted = logits.argmax(1).numpy()
    truth = targets.numpy()
    return {
        "loss": float(functional.cross_entropy(logits, targets)),
        "accuracy": float(accuracy_score(truth, predicted)),
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0.0)),
        "f1_target": float(
            f1_score(truth, predicted, labels=[target], average="macro", zero_division=0.0)
        ),
    }


def rank(scores: dict[str, float]) -> tuple[float, float]:
    """Orders checkpoints and teachers: by macro F1, ties by the lower cross-entropy."""
    return scores["macro_f1"], -scores["loss"]


class Fitting:
    """One network on its way through the phases.

    Args:
        network: what is trained, on the CPU.
        phases: in order; each begins where the last ended, with a new optimiser.
        data: its validation images choose the checkpoint.
        config: the settings.
        run: where metrics and checkpoints go.
        normalisation: mean and standard deviation of the network's input.
        freeze_statistics: keep the batch-norm statistics.
        candidates_from: only checkpoints after this step may be chosen.
        blend: share of the fine-tuned weights in every candidate after linear probing, the rest
            being the linear-probed network's (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903). What a
            fine-tuning happened to learn differs between seeds, the probed network hardly does.
        compute: device and precision.
        processes: that train together. The losses of each are of its own share of the batch; all look
            at validation, the main one writes.
    """

    def __init__(
        self,
        network: nn.Module,
        phases: Sequence[Phase],
        data: TrainingData,
        config: FittingConfig,
        run: RunDir,
        *,
        normalisation: tuple[Triple, Triple],
        freeze_statistics: bool,
        candidates_from: int = 0,
        blend: float = 1.0,
        compute: Compute,
        processes: Processes = ALONE,
    ) -> None:
        self._processes = processes
        self._network, self._phases = network, [p for p in phases if p.steps]
        self._validation: LabelledImages = data.validation
        self._target, self._config, self._run = data.target, config, run
        self._normalisation, self._freeze = normalisation, freeze_statistics
        self._candidates_from, self._compute = candidates_from, compute
        if not freeze_statistics:
            synchronise_batch_norms(network, processes)
        self._total = sum(phase.steps for phase in self._phases)
        self._step, self._seconds = 0, 0.0
        self._average = ExponentialMovingAverage(network)
        self._blend = blend
        self._blended = copy.deepcopy(self._average.module) if blend < 1 else None
        self._probed: dict[str, torch.Tensor] | None = None
        self._best: dict[str, Any] | None = None
        self._waited = 0
        self._loss_sum = torch.zeros((), device=compute.device)
        self._summed = 0
        self._begin(0)

    def to_the_end(self, progress: Progress, description: str) -> Fitted:
        """Trains until all steps are made or validation has stopped gaining.

        Raises:
            KeyboardInterrupt: the user asked to stop; a checkpoint was saved.
            TrainingDivergedError: the loss is no longer a number.
        """
        self._load_latest()
        self._clock = self._saved = time.monotonic()
        with (
            deferred_interrupts(),
            progress.task(description, self._total, "step", self._step) as task,
        ):
            while not self._finished():
                self._advance()
                self._evaluate_when_due()
                self._tick()
                if time.monotonic() - self._saved >= self._config.checkpoint_seconds:
                    self._save()
                try:
                    task.advance(1, self._phases[self._phase].name)
                except KeyboardInterrupt:
                    self._save()
                    raise
        assert self._best is not None
        self._average.load_state_dict(self._best["weights"])
        return Fitted(
            self._average.module,
            self._best["step"],
            self._step,
            dict(self._best["scores"]),
            self._seconds,
        )

    def _finished(self) -> bool:
        if self._step >= self._total:
            return True
        patience = self._config.patience
        return bool(patience) and self._processes.agreed(self._waited >= patience)

    def _place(self, step: int) -> tuple[int, int]:
        """The phase that a step belongs to, and the step's number within it."""
        for index, phase in enumerate(self._phases):
            if step < phase.steps:
                return index, step
            step -= phase.steps
        raise IndexError("the training has fewer steps")

    def _begin(self, index: int) -> None:
        self._phase = index
        phase = self._phases[index]
        set_mode(self._network, phase, self._freeze)
        self._optimiser = make_optimiser(
            self._network, phase, self._config.weight_decay, self._config.optimiser
        )

    def _advance(self) -> None:
        index, within = self._place(self._step)
        if index != self._phase:
            self._begin(index)
        phase = self._phases[index]
        loss = phase.loss(self._step)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._processes.average_gradients(self._network.parameters())
        factor = rate_factor(within, phase.steps, self._config.schedule)
        factors = [factor] * len(self._optimiser.param_groups)
        if phase.relative_rates:
            # The head starts from zero: its gradient over its weights would dwarf all others'.
            body = relative_gradient_norms(self._optimiser.param_groups[1:])
            factors[1:] = [f * own for f, own in zip(factors[1:], body, strict=True)]
        for group, factor in zip(self._optimiser.param_groups, factors, strict=True):
            group["lr"] = group["rate"] * factor
        self._optimiser.step()
        self._loss_sum = self._loss_sum + loss.detach()
        self._summed += 1
        if phase.trains_body and self._config.average:
            averaged = self._step - self._first_body_step()
            decay = min(self._config.average_decay, (1 + averaged) / (10 + averaged))
            self._average.update(self._network, decay)
        self._step += 1

    def _first_body_step(self) -> int:
        before = 0
        for phase in self._phases:
            if phase.trains_body:
                return before
            before += phase.steps
        return before

    def _evaluate_when_due(self) -> None:
        phase = self._phases[self._phase]
        within = self._place(self._step - 1)[1] + 1
        # While only the head learns, one look at the end is enough: it costs more than the steps.
        due = phase.trains_body and within % self._config.evaluate_every == 0
        if not due and within != phase.steps:
            return
        if not (phase.trains_body and self._config.average):
            self._average.update(self._network, 0.0)
        mean_loss = float(self._processes.mean(self._loss_sum)) / self._summed
        if not math.isfinite(mean_loss):
            raise TrainingDivergedError(
                f"training diverged before step {self._step}: the loss is not a number; "
                f"try lower learning rates for '{self._run.path}'"
            )
        network = self._candidate()
        logits = predict_logits(
            network, self._validation.pixels, self._normalisation, self._compute
        )
        scores = validation_scores(logits, self._validation.targets, self._target)
        if self._processes.is_main:
            self._run.log(
                self._step,
                phase=phase.name,
                loss=mean_loss,
                **{f"validation_{name}": value for name, value in scores.items()},
            )
        self._loss_sum, self._summed = torch.zeros_like(self._loss_sum), 0
        self._consider(scores, network)
        if self._blended is not None and not phase.trains_body:
            self._probed = {k: v.clone() for k, v in self._average.state_dict().items()}

    def _candidate(self) -> nn.Module:
        """The averaged network, blended with the linear-probed one once the body learns."""
        if self._blended is None or self._probed is None:
            return self._average.module.eval()
        tuned = self._average.state_dict()
        self._blended.load_state_dict(
            {
                name: torch.lerp(self._probed[name], value, self._blend)
                if value.is_floating_point()
                else value
                for name, value in tuned.items()
            }
        )
        return self._blended.eval()

    def _consider(self, scores: dict[str, float], network: nn.Module) -> None:
        if self._step <= self._candidates_from and self._step < self._total:
            return
        if self._best is None or rank(scores) > rank(self._best["scores"]):
            weights = {k: v.clone() for k, v in network.state_dict().items()}
            self._best = {"step": self._step, "scores": scores, "weights": weights}
            self._waited = 0
        else:
            self._waited += 1

    def _tick(self) -> None:
        now = time.monotonic()
        self._seconds += now - self._clock
        self._clock = now

    def _save(self) -> None:
        self._saved = time.monotonic()
        if not self._processes.is_main:
            return
        state = {
            "step": self._step,
            "phase": self._phase,
            "seconds": self._seconds,
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "losses": [state.state_dict() for state in self._states()],
            "best": self._best,
            "probed": self._probed,
            "waited": self._waited,
            "loss_sum": self._loss_sum,
            "summed": self._summed,
        }
        self._run.save_checkpoint(state, self._step)

    def _states(self) -> list[Stateful]:
        """What losses have learned, each once."""
        states = {id(p.state): p.state for p in self._phases if p.state is not None}
        return list(states.values())

    def _load_latest(self) -> None:
        state = self._run.load_checkpoint(writing=self._processes.is_main)
        if state is None:
            return
        self._step, self._seconds = state["step"], state["seconds"]
        self._network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._begin(state["phase"])
        self._optimiser.load_state_dict(state["optimiser"])
        # The file holds plain tensors; another memory layout could round differently.
        for parameter, moments in self._optimiser.state.items():
            for name, value in moments.items():
                if value.dim() == 4:
                    moments[name] = torch.empty_like(parameter).copy_(value)
        for learned, stored in zip(self._states(), state["losses"], strict=True):
            learned.load_state_dict(stored)
        self._best, self._waited = state["best"], state["waited"]
        self._probed = state["probed"]
        self._loss_sum = state["loss_sum"].to(self._compute.device)
        self._summed = state["summed"]
