"""The one shape of every training: what is kept, when it ends, what is reported, when it is saved.

A stage registers what it learns, gives an update and, where it has one, a look that is taken
after every step. The loop does the rest in named phases: load latest, advance, look, stop?,
report, checkpoint, show. An update whose random draws derive from (seed, step) ends bitwise where
it would have ended without an interruption, in float32 on a CPU.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from hzsynth.core.errors import InputError, TrainingDivergedError
from hzsynth.core.interrupt import deferred_interrupts
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import SILENT, Progress, Task
from hzsynth.core.run import RunDir
from hzsynth.core.training_state import RunningMeans, Stateful, restore_layout

_OWN = "loop"

Update = Callable[[int], Mapping[str, torch.Tensor]]
"""Makes the step of a number (from 0) and returns named scalars to report."""
Look = Callable[[], str]
"""Called after every step; returns a note for the progress bar, or an empty one."""


@dataclass(frozen=True)
class Budget:
    """How long a training goes on: a number of steps or, when given, minutes of time.

    Attributes:
        steps: updates in all.
        minutes: of training over all resumptions; at least one step is made.
    """

    steps: int
    minutes: float | None = None

    @property
    def total(self) -> float:
        """Seconds or steps in all."""
        return self.steps if self.minutes is None else self.minutes * 60

    def used(self, step: int, seconds: float) -> float:
        """How much of the total is used up, never more than all."""
        return step if self.minutes is None else min(self.total, seconds)

    def part(self, step: int, seconds: float, parts: int) -> int:
        """Which of so many equal parts has come to its end, 0 for none."""
        if self.minutes is None:
            return step * parts // self.steps
        return int(self.used(step, seconds) * parts / self.total)

    def spent(self, step: int, seconds: float) -> bool:
        """Whether nothing is left."""
        return step > 0 and self.used(step, seconds) >= self.total


class TrainingLoop:
    """Steps until the budget is spent, with checkpoints and reports on the way.

    Args:
        run: where metrics and checkpoints go.
        budget: steps or minutes.
        checkpoint_seconds: time between two checkpoints; one more is saved at the end and on Ctrl-C.
        reports: lines of the metrics in a whole run, at an even pace; None when the stage's look
            calls `report` itself.
        device: where the scalars of the updates are.
        processes: that train together, each with the same steps; the main one writes and decides.
        clock: seconds of a clock that only goes on.

    Attributes:
        step: updates so far.
        seconds: of training so far, over all resumptions.

    A stage with one network::

        >>> import tempfile
        >>> from pathlib import Path
        >>> from hzsynth.core.config import Config
        >>> from hzsynth.core.training_state import Memory
        >>> run = RunDir.start(Path(tempfile.mkdtemp()), "example", Config(), {})
        >>> network = nn.Linear(1, 1)
        >>> optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
        >>> memory = Memory(lowest=math.inf)
        >>> loop = TrainingLoop(run, Budget(steps=40), checkpoint_seconds=60, reports=4)
        >>> loop.register(network=network, optimiser=optimiser, memory=memory)
        >>> def update(step):
        ...     loss = (network(torch.ones(1)) - 3).square().mean()
        ...     optimiser.zero_grad()
        ...     loss.backward()
        ...     optimiser.step()
        ...     return {"loss": loss}
        >>> def look():
        ...     if loop.passed(2):  # half-way and at the end
        ...         error = network(torch.ones(1)).item() - 3
        ...         memory.lowest = min(memory.lowest, abs(error))
        ...     return ""
        >>> loop.load_latest()  # whether the run goes on; if not, the stage may still change its start
        False
        >>> loop.run(update, look)
        >>> [line["step"] for line in run.metrics()], loop.stopped
        ([10, 20, 30, 40], 'budget')
        >>> run.close()
    """

    def __init__(
        self,
        run: RunDir,
        budget: Budget,
        *,
        checkpoint_seconds: float,
        reports: int | None = 200,
        device: torch.device | None = None,
        processes: Processes = ALONE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._budget, self._processes = run, budget, processes
        self._checkpoint_seconds, self._reports, self._clock = checkpoint_seconds, reports, clock
        self._states: dict[str, Stateful] = {}
        self._means = RunningMeans(device or torch.device("cpu"))
        self._loaded = False
        self._reason = ""
        self.step, self.seconds = 0, 0.0
        self._before = self._first = self.step, self.seconds
        self._ticked = self._saved = clock()

    def register(self, **states: Stateful) -> None:
        """Names what a checkpoint holds; it is loaded in the order in which it was registered."""
        for name, state in states.items():
            if name in self._states or name == _OWN or self._loaded:
                raise ValueError(f"'{name}' is registered twice, too late or under a reserved name")
            self._states[name] = state

    def load_latest(self) -> bool:
        """Goes on from the run's checkpoint; whether there was one.

        Raises:
            InputError: the checkpoint is damaged or holds something else than was registered.
        """
        self._loaded = True
        stored = self._run.load_checkpoint(writing=self._processes.is_main)
        if stored is None:
            return False
        if set(stored) != {*self._states, _OWN}:
            raise InputError(
                f"another version of hzsynth wrote the checkpoint of '{self._run.path}': finish it "
                "there, or start anew with `force`"
            )
        for name, state in self._states.items():
            state.load_state_dict(stored[name])
            if isinstance(state, torch.optim.Optimizer):
                restore_layout(state)
        own = stored[_OWN]
        self.step, self.seconds, self._reason = own["step"], own["seconds"], own["reason"]
        self._means.load_state_dict(own["means"])
        return True

    def run(
        self,
        update: Update,
        look: Look | None = None,
        *,
        beside: Callable[[], Mapping[str, float | str]] = dict,
        describe: Callable[[Mapping[str, float]], str] = lambda means: "",
        progress: Progress = SILENT,
        description: str = "training",
    ) -> None:
        """Trains until the budget is spent or `stop` was called.

        Args:
            update: makes one step.
            look: validation, sample sheets and the like; it decides when it is due (see `passed`).
            beside: further values of every line of the metrics.
            describe: the note of the progress bar from the means of a report.
            progress: shows the work.
            description: of the work, a few words.

        Raises:
            KeyboardInterrupt: the user asked to stop; a checkpoint was saved.
            TrainingDivergedError: a loss or a weight is no longer a number; the last good
                checkpoint was kept.
        """
        if not self._loaded:
            self.load_latest()
        self._before = self._first = self.step, self.seconds
        self._ticked = self._saved = self._clock()
        unit = "step" if self._budget.minutes is None else "s"
        done = self._budget.used(self.step, self.seconds)
        with (
            progress.task(description, self._budget.total, unit, done) as task,
            deferred_interrupts(),
        ):
            over = self._agree_whether_over()
            while not over:
                self._advance(update)
                note = look() if look is not None else ""
                over = self._agree_whether_over()
                note = self._report_when_due(over, beside, describe) or note
                self._checkpoint_when_due(over)
                self._show(task, note)
        self._tick()

    def _advance(self, update: Update) -> None:
        self._before = self.step, self.seconds
        self._means.add(update(self.step))
        self.step += 1
        self._tick()

    def _tick(self) -> None:
        now = self._clock()
        self.seconds, self._ticked = self.seconds + now - self._ticked, now
        if self._budget.minutes is not None:
            # Rates and the end follow from the time: all go by one clock.
            self.seconds = self._processes.of_main(self.seconds)

    @property
    def share(self) -> float:
        """Share of the budget that is used up, 0 to 1."""
        return self._budget.used(self.step, self.seconds) / self._budget.total

    @property
    def spent(self) -> bool:
        """Whether the budget is used up: within a look, whether this step was the last."""
        return self._budget.spent(self.step, self.seconds)

    def passed(self, parts: int) -> bool:
        """Whether the last step ended one of so many equal parts of the budget."""
        part = self._budget.part
        return self.spent or part(*self._before, parts) < part(self.step, self.seconds, parts)

    @property
    def steps_per_second(self) -> float:
        """Of the part that this call trained; 0 when nothing was left to do."""
        steps, seconds = self.step - self._first[0], self.seconds - self._first[1]
        return steps / max(seconds, 1e-9)

    def stop(self, reason: str) -> None:
        """Lets this step be the last one, for a reason in a few words."""
        self._reason = reason

    @property
    def stopped(self) -> str:
        """Why the training ended: ``budget``, or the reason given to `stop`."""
        return "budget" if self.spent else self._reason

    def _agree_whether_over(self) -> bool:
        return self._processes.agreed(self.spent or bool(self._reason))

    def report(self, **values: float | str) -> dict[str, float]:
        """Writes a line: the means since the last one, and further values. All processes call it.

        Raises:
            TrainingDivergedError: a mean is not a finite number.
        """
        means = self._means.copied(self._processes)
        self._refuse(_not_finite(means))
        self._means.clear()
        if self._processes.is_main:
            self._run.log(self.step, **values, **means)
        return means

    def refuse_divergence(self) -> None:
        """Raises TrainingDivergedError when what was learned since the last report is no number."""
        self._refuse(_not_finite(self._means.copied()))

    def _refuse(self, bad: list[str]) -> None:
        if bad:
            raise TrainingDivergedError(
                f"training diverged before step {self.step}: {bad[0]} is not a number; the run "
                f"'{self._run.path}' keeps its last checkpoint, try lower learning rates"
            )

    def _report_when_due(
        self,
        over: bool,
        beside: Callable[[], Mapping[str, float | str]],
        describe: Callable[[Mapping[str, float]], str],
    ) -> str:
        if self._reports is None or not (over or self.passed(self._reports)):
            return ""
        return describe(self.report(**beside()))

    def _checkpoint_when_due(self, over: bool) -> None:
        if over or self._clock() - self._saved >= self._checkpoint_seconds:
            self._checkpoint()

    def _checkpoint(self) -> None:
        if self._processes.is_main:
            # The losses of the last step were computed before its weights.
            self.refuse_divergence()
            self._refuse(
                [f"a weight of '{name}'" for name, s in self._states.items() if _broken(s)]
            )
            own = {"step": self.step, "seconds": self.seconds, "reason": self._reason}
            own["means"] = self._means.state_dict()
            states = {name: state.state_dict() for name, state in self._states.items()}
            self._run.save_checkpoint({**states, _OWN: own}, self.step)
        self._saved = self._clock()

    def _show(self, task: Task, note: str) -> None:
        used = self._budget.used
        try:
            task.advance(used(self.step, self.seconds) - used(*self._before), note)
        except KeyboardInterrupt:
            self._checkpoint()
            raise


def _not_finite(values: Mapping[str, float]) -> list[str]:
    return [name for name, value in values.items() if not math.isfinite(value)]


def _broken(state: Stateful) -> bool:
    """Whether it is a network with a weight that is not a finite number."""
    if not isinstance(state, nn.Module):
        return False
    finite = [weights.detach().isfinite().all() for weights in state.parameters()]
    return bool(finite) and not bool(torch.stack(finite).all())
