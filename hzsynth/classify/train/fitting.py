"""A training of this room: phases of fine-tuning, looks at validation, the best weights.

Batches and augmentations follow from (seed, step), so the state to resume from is the network,
its average, the phase's optimiser, the best weights so far and what losses have learned: in float32
on a CPU an interrupted and resumed training ends bitwise where the uninterrupted one does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hzsynth.classify.models import PixelNetwork
from hzsynth.classify.train.config import FittingConfig
from hzsynth.classify.train.finetuning import (
    Phase,
    make_optimiser,
    rate_factor,
    relative_gradient_norms,
    set_mode,
)
from hzsynth.classify.train.loading import TrainingData
from hzsynth.classify.train.objective import LOSS
from hzsynth.classify.train.selection import ANY_WEIGHTS, Choice, Selection
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import Progress
from hzsynth.core.run import RunDir
from hzsynth.core.training_loop import Budget, TrainingLoop
from hzsynth.core.training_state import Stateful, restore_layout
from hzsynth.nets.ema import ExponentialMovingAverage
from hzsynth.nets.synchronised import synchronise_batch_norms


@dataclass(frozen=True)
class Fitted:
    """What a training came to.

    Attributes:
        network: with the best weights, in evaluation mode.
        best_step: after which they were reached.
        steps: that were made.
        validation: scores of the weights that were kept (see `selection.validation_scores`).
        blend: share of the fine-tuned weights in them, the rest being linear-probed.
        seconds: over all resumptions.
    """

    network: nn.Module
    best_step: int
    steps: int
    validation: dict[str, float]
    blend: float
    seconds: float


def refuse_fp16(compute: Compute) -> None:
    """Raises InputError for fp16: without loss scaling its gradients vanish."""
    if compute.precision == "fp16":
        raise InputError("`precision` fp16 is not offered for classifiers; use bf16 or fp32")


class _PhasedOptimiser:
    """The phase that is under way: which weights learn, and their optimiser."""

    def __init__(
        self, network: nn.Module, phases: Sequence[Phase], config: FittingConfig, freeze: bool
    ) -> None:
        self._network, self._phases = network, phases
        self._config, self._freeze = config, freeze
        self.begin(0)

    def begin(self, number: int) -> None:
        """Begins a phase with a new optimiser."""
        self._number, self.phase = number, self._phases[number]
        set_mode(self._network, self.phase, self._freeze)
        self._optimiser = make_optimiser(
            self._network, self.phase, self._config.weight_decay, self._config.optimiser
        )

    def descend(self, loss: torch.Tensor, step: int, processes: Processes) -> None:
        """Descends a loss at the step of a number within the phase."""
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        processes.average_gradients(self._network.parameters())
        groups = self._optimiser.param_groups
        factors = [rate_factor(step, self.phase.steps, self._config.schedule)] * len(groups)
        if self.phase.relative_rates:
            # The head starts from zero: its gradient over its weights would dwarf all others'.
            body = relative_gradient_norms(groups[1:])
            factors[1:] = [f * own for f, own in zip(factors[1:], body, strict=True)]
        for group, factor in zip(groups, factors, strict=True):
            group["lr"] = group["rate"] * factor
        self._optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        return {"phase": self._number, "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.begin(state["phase"])
        self._optimiser.load_state_dict(state["optimiser"])
        restore_layout(self._optimiser)


class Fitting:
    """One network on its way through the phases.

    Args:
        network: what is trained, on its device.
        phases: in order; each begins where the last ended, with a new optimiser.
        data: its validation images choose the weights that are kept.
        config: the settings.
        run: where metrics and checkpoints go.
        freeze_statistics: keep the batch-norm statistics.
        choice: among which weights is chosen.
        processes: that train together. The losses of each are of its own share of the batch; all look
            at validation, the main one writes.
    """

    def __init__(
        self,
        network: PixelNetwork,
        phases: Sequence[Phase],
        data: TrainingData,
        config: FittingConfig,
        run: RunDir,
        *,
        freeze_statistics: bool,
        choice: Choice = ANY_WEIGHTS,
        processes: Processes = ALONE,
    ) -> None:
        self._network, self._config, self._processes = network.network, config, processes
        self._phases = [phase for phase in phases if phase.steps]
        self._first_body_step = _steps_before_body(self._phases)
        if not freeze_statistics:
            synchronise_batch_norms(self._network, processes)
        self._average = ExponentialMovingAverage(self._network)
        self._selection = Selection(
            network.with_network(self._average.module), data.validation, data.target, choice
        )
        self._optimiser = _PhasedOptimiser(self._network, self._phases, config, freeze_statistics)
        self._loop = TrainingLoop(
            run,
            Budget(sum(phase.steps for phase in self._phases)),
            checkpoint_seconds=config.checkpoint_seconds,
            reports=None,
            device=network.compute.device,
            processes=processes,
        )
        self._loop.register(
            network=self._network,
            average=self._average,
            optimiser=self._optimiser,
            selection=self._selection,
            **_objectives(self._phases),
        )

    def to_the_end(self, progress: Progress, description: str) -> Fitted:
        """Trains until all steps are made or validation has stopped gaining.

        Raises:
            KeyboardInterrupt: the user asked to stop; a checkpoint was saved.
            TrainingDivergedError: the loss is no longer a number.
        """
        self._loop.run(self._update, self._look, progress=progress, description=description)
        scores, blend = self._selection.blended(self._average.module)
        return Fitted(
            network=self._average.module,
            best_step=self._selection.step,
            steps=self._loop.step,
            validation=scores,
            blend=blend,
            seconds=self._loop.seconds,
        )

    def _place(self, step: int) -> tuple[int, int]:
        """The phase that a step belongs to, and the step's number within it."""
        for index, phase in enumerate(self._phases):
            if step < phase.steps:
                return index, step
            step -= phase.steps
        raise IndexError("the training has fewer steps")

    def _update(self, step: int) -> Mapping[str, torch.Tensor]:
        number, within = self._place(step)
        if within == 0 and step > 0:
            self._optimiser.begin(number)
        phase = self._optimiser.phase
        losses = phase.losses(step)
        self._optimiser.descend(losses[LOSS], within, self._processes)
        if phase.trains_body and self._config.average:
            averaged = step - self._first_body_step
            decay = min(self._config.average_decay, (1 + averaged) / (10 + averaged))
            self._average.update(self._network, decay)
        return losses

    def _look(self) -> str:
        phase, step = self._optimiser.phase, self._loop.step
        within = self._place(step - 1)[1] + 1
        # While only the head learns, one look at the end is enough: it costs more than the steps.
        due = phase.trains_body and within % self._config.evaluate_every == 0
        if due or within == phase.steps:
            self._validate(phase, step)
        return phase.name

    def _validate(self, phase: Phase, step: int) -> None:
        if not (phase.trains_body and self._config.average):
            self._average.update(self._network, 0.0)
        scores = self._selection.look(
            self._average.module, step, probed=not phase.trains_body, last=self._loop.spent
        )
        reported = {f"validation_{name}": value for name, value in scores.items()}
        self._loop.report(phase=phase.name, **reported)
        if self._config.patience and self._selection.waited >= self._config.patience:
            self._loop.stop("patience")


def _steps_before_body(phases: Sequence[Phase]) -> int:
    before = 0
    for phase in phases:
        if phase.trains_body:
            break
        before += phase.steps
    return before


def _objectives(phases: Sequence[Phase]) -> dict[str, Stateful]:
    """What losses have learned, each once, under a name of its own."""
    each = {id(p.objective): p.objective for p in phases if p.objective is not None}
    return {f"objective_{number}": objective for number, objective in enumerate(each.values())}
