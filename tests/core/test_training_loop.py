"""The loop with a toy of a few weights: exact resume, what ends it, what it says and when."""

import doctest
import io
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn
from torch.overrides import TorchFunctionMode

from hzsynth.core import training_loop
from hzsynth.core.checkpoint import load_checkpoint
from hzsynth.core.config import Config
from hzsynth.core.errors import InputError, TrainingDivergedError
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.progress import LineProgress, Progress, Task, TerminalProgress
from hzsynth.core.run import RunDir
from hzsynth.core.training_loop import Budget, TrainingLoop
from hzsynth.core.training_state import Memory, RunningMeans, restore_layout

STEPS = 7


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Shown(Progress):
    """Remembers what was shown; asks to stop after some steps."""

    def __init__(self, interrupt_after: int = 0) -> None:
        self.total, self.done, self.notes = 0.0, [0.0], [""]
        self._left = interrupt_after

    @contextmanager
    def task(
        self, description: str, total: float, unit: str = "it", done: float = 0
    ) -> Iterator[Task]:
        self.total, self.done, outer = total, [done], self

        class Remembering(Task):
            def advance(self, amount: float = 1, note: str = "") -> None:
                outer.done.append(outer.done[-1] + amount)
                outer.notes.append(note)
                outer._left -= 1
                if outer._left == 0:
                    raise KeyboardInterrupt

        yield Remembering()


@dataclass
class Toy:
    """A line that is fitted to points which derive from the step alone."""

    run: RunDir
    budget: Budget = field(default_factory=lambda: Budget(STEPS))
    options: dict[str, Any] = field(default_factory=dict)
    disturb: Callable[[int, nn.Module], float] = lambda step, network: 0.0
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.network = nn.Linear(2, 1)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=0.1)
        self.memory = Memory(looks=0, lowest=torch.tensor(9.0))
        self.loop = TrainingLoop(
            self.run, self.budget, **{"checkpoint_seconds": 1e9, "reports": 3, **self.options}
        )
        self.loop.register(network=self.network, optimiser=self.optimiser, memory=self.memory)

    def update(self, step: int) -> dict[str, torch.Tensor]:
        draws = torch.Generator().manual_seed(step)
        points = torch.randn(4, 2, generator=draws)
        loss = (self.network(points) - points.sum(1, keepdim=True)).square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.losses.append(loss.item())
        return {"loss": loss + self.disturb(step, self.network), "place": torch.tensor(float(step))}

    def look(self) -> str:
        self.memory.looks += 1
        self.memory.lowest = torch.minimum(
            self.memory.lowest, torch.tensor(self.losses[-1] if self.losses else 9.0)
        )
        return ""

    def train(self, **options: Any) -> "Toy":
        self.loop.run(self.update, self.look, **options)
        return self


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., RunDir]:
    def begin(name: str = "run") -> RunDir:
        return RunDir.start(tmp_path / name, "toy", Config(), {})

    return begin


def stored(run: RunDir) -> dict[str, Any]:
    state: dict[str, Any] = load_checkpoint(run.path / "checkpoint.safetensors", "toy")["state"]
    return state


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key in value:
            yield from () if key == "seconds" else leaves(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    else:
        yield value.tolist() if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("interrupted_after", range(1, STEPS + 1))
def test_an_interruption_at_any_step_changes_nothing(
    start: Callable[..., RunDir], interrupted_after: Any
) -> None:
    whole = Toy(start("whole")).train()
    with start("parts") as run, pytest.raises(KeyboardInterrupt):
        Toy(run).train(progress=Shown(interrupted_after))
    assert stored(run)["loop"]["step"] == interrupted_after
    parts = Toy(start("parts")).train()
    assert list(leaves(stored(whole.run))) == list(leaves(stored(parts.run)))
    assert parts.memory.looks == STEPS
    assert whole.run.metrics() == parts.run.metrics()


@pytest.mark.parametrize("killed_in", range(1, STEPS))
def test_a_kill_loses_the_steps_since_the_last_checkpoint_only(
    start: Callable[..., RunDir], killed_in: Any
) -> None:
    def kill(step: int, network: nn.Module) -> float:
        if step == killed_in:
            raise SystemExit
        return 0.0

    whole = Toy(start("whole")).train()
    with start("parts") as run, pytest.raises(SystemExit):
        Toy(run, options={"checkpoint_seconds": 0}, disturb=kill).train()
    assert stored(run)["loop"]["step"] == killed_in
    parts = Toy(start("parts")).train()
    assert list(leaves(stored(whole.run))) == list(leaves(stored(parts.run)))
    assert whole.run.metrics() == parts.run.metrics()


def test_a_loss_that_is_no_number_keeps_the_good_checkpoint(start: Callable[..., RunDir]) -> None:
    def spoil(step: int, network: nn.Module) -> float:
        return math.nan if step == 4 else 0.0

    run = start()
    with pytest.raises(TrainingDivergedError, match=f"before step 5: loss is .*{run.path}") as end:
        Toy(run, options={"checkpoint_seconds": 0, "reports": 1}, disturb=spoil).train()
    assert end.value.exit_code == 1
    assert stored(run)["loop"]["step"] == 4


def test_a_weight_that_is_no_number_keeps_the_good_checkpoint(start: Callable[..., RunDir]) -> None:
    def spoil(step: int, network: nn.Module) -> float:
        if step == 4:
            next(network.parameters()).data[0, 0] = math.inf
        return 0.0

    run = start()
    with pytest.raises(TrainingDivergedError, match="step 5: a weight of 'network' is not"):
        Toy(run, options={"checkpoint_seconds": 0}, disturb=spoil).train()
    assert stored(run)["loop"]["step"] == 4


def test_a_state_that_diverged_at_the_end_is_refused_too(start: Callable[..., RunDir]) -> None:
    run = start()
    with pytest.raises(TrainingDivergedError):
        Toy(run, disturb=lambda step, network: math.nan if step == STEPS - 1 else 0.0).train()
    assert not (run.path / "checkpoint.safetensors").exists()


@pytest.mark.parametrize(("seconds", "steps"), [(1.0, 12), (5.0, 3), (7.0, 2), (1000.0, 1)])
def test_minutes_are_spent_and_at_least_one_step_is_made(
    start: Callable[..., RunDir], seconds: float, steps: int
) -> None:
    clock = Clock()

    def pass_time(step: int, network: nn.Module) -> float:
        clock.now += seconds
        return 0.0

    shown = Shown()
    toy = Toy(start(), Budget(1, 0.2), {"clock": clock, "reports": 4}, pass_time)
    toy.train(progress=shown)
    assert (toy.loop.step, toy.loop.stopped, toy.loop.share) == (steps, "budget", 1.0)
    assert shown.total == shown.done[-1] == 12.0
    assert shown.done == sorted(shown.done)
    assert len(toy.run.metrics()) == min(steps, 4)


def test_seconds_go_on_after_a_resumption(start: Callable[..., RunDir]) -> None:
    clock = Clock()

    def pass_time(step: int, network: nn.Module) -> float:
        clock.now += 2.0
        return 0.0

    with start() as run, pytest.raises(KeyboardInterrupt):
        Toy(run, Budget(1, 0.2), {"clock": clock}, pass_time).train(progress=Shown(2))
    clock.now += 5000.0
    shown = Shown()
    toy = Toy(start(), Budget(1, 0.2), {"clock": clock}, pass_time).train(progress=shown)
    assert (toy.loop.step, toy.loop.seconds) == (6, 12.0)
    assert shown.done == [4.0, 6.0, 8.0, 10.0, 12.0]
    assert toy.loop.steps_per_second == 0.5


def test_checkpoints_follow_the_clock(
    start: Callable[..., RunDir], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, saved = Clock(), []

    def pass_time(step: int, network: nn.Module) -> float:
        clock.now += 1.0
        return 0.0

    run = start()
    monkeypatch.setattr(run, "save_checkpoint", lambda state, step: saved.append(step))
    options = {"clock": clock, "checkpoint_seconds": 3.0}
    Toy(run, Budget(10), options, pass_time).train()
    assert saved == [3, 6, 9, 10]


def test_means_are_plain_means_at_an_even_pace(start: Callable[..., RunDir]) -> None:
    toy = Toy(start(), Budget(12)).train()
    lines = toy.run.metrics()
    assert [line["step"] for line in lines] == [4, 8, 12]
    for index, line in enumerate(lines):
        losses = toy.losses[4 * index : 4 * index + 4]
        assert line["loss"] == pytest.approx(math.fsum(losses) / 4, rel=1e-6)
        assert line["place"] == 4 * index + 1.5


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 29, 100, 1000])
@pytest.mark.parametrize("reports", [1, 7, 200])
def test_the_pace_is_even_for_any_number_of_steps(
    start: Callable[..., RunDir], steps: int, reports: int
) -> None:
    loop = TrainingLoop(start(), Budget(steps), checkpoint_seconds=1e9, reports=reports)
    at: list[int] = []

    def look() -> str:
        at.append(loop.step)
        return ""

    loop.run(lambda step: {"x": torch.zeros(())}, look)
    reported = [line["step"] for line in RunDir.load(loop._run.path).metrics()]
    assert len(reported) == min(steps, reports)
    assert reported[-1] == steps
    gaps = [b - a for a, b in zip([0, *reported], reported, strict=False)]
    assert max(gaps) - min(gaps) <= 1


class Copies(TorchFunctionMode):
    """Counts what would wait for a device and copy from it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        names = "item", "tolist", "cpu", "numpy", "__float__", "__bool__", "__int__", "__format__"
        self.count += getattr(function, "__name__", "") in names
        return function(*args, **(kwargs or {}))


def test_nothing_is_copied_from_the_device_between_reports(start: Callable[..., RunDir]) -> None:
    copied: list[int] = []
    loop = TrainingLoop(start(), Budget(8), checkpoint_seconds=1e9, reports=2)
    with Copies() as copies:

        def look() -> str:
            copied.append(copies.count)
            return ""

        loop.run(lambda step: {"a": torch.ones(()), "b": torch.ones(())}, look)
    assert copied == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_report_may_be_left_to_the_look(start: Callable[..., RunDir]) -> None:
    loop = TrainingLoop(start(), Budget(5), checkpoint_seconds=1e9, reports=None)

    def look() -> str:
        if loop.step in (2, 5):
            loop.report(phase="first", score=0.5)
        return ""

    loop.run(lambda step: {"x": torch.tensor(float(step))}, look)
    assert loop._run.metrics() == [
        {"step": 2, "phase": "first", "score": 0.5, "x": 0.5},
        {"step": 5, "phase": "first", "score": 0.5, "x": 3.0},
    ]


def test_a_stop_is_remembered(start: Callable[..., RunDir]) -> None:
    def build() -> tuple[TrainingLoop, list[int]]:
        loop, steps = TrainingLoop(start(), Budget(50), checkpoint_seconds=1e9), []
        loop.register(memory=Memory(steps=0))

        def look() -> str:
            steps.append(loop.step)
            if loop.step == 3:
                loop.stop("no gain")
            return ""

        loop.run(lambda step: {"x": torch.zeros(())}, look)
        loop._run.close()
        return loop, steps

    first, looked = build()
    assert (first.step, first.stopped, looked) == (3, "no gain", [1, 2, 3])
    again, looked = build()
    assert (again.step, again.stopped, looked) == (3, "no gain", [])
    assert again.steps_per_second == 0.0


def test_notes_come_from_the_look_and_the_means(start: Callable[..., RunDir]) -> None:
    shown = Shown()
    loop = TrainingLoop(start(), Budget(4), checkpoint_seconds=1e9, reports=2)
    loop.run(
        lambda step: {"x": torch.tensor(float(step))},
        lambda: "looked" if loop.step == 3 else "",
        beside=lambda: {"rate": 2.0},
        describe=lambda means: f"x {means['x']:.1f}",
        progress=shown,
    )
    assert shown.notes == ["", "", "x 0.5", "looked", "x 2.5"]
    assert [line["rate"] for line in loop._run.metrics()] == [2.0, 2.0]


def test_a_state_has_one_name(start: Callable[..., RunDir]) -> None:
    toy = Toy(start())
    with pytest.raises(ValueError, match="'network' is registered twice"):
        toy.loop.register(network=toy.network)
    toy.loop.load_latest()
    with pytest.raises(ValueError, match="too late"):
        toy.loop.register(other=toy.network)


def test_the_checkpoint_of_another_version_is_refused(start: Callable[..., RunDir]) -> None:
    with start() as run:
        Toy(run).train()
    loop = TrainingLoop(start(), Budget(STEPS), checkpoint_seconds=1e9)
    with pytest.raises(InputError, match="another version"):
        loop.load_latest()


class Two(Processes):
    """The second of two processes that always agrees with what the first says."""

    def of_main(self, number: float) -> float:
        return 1.0 if number >= 3 else number

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        return (value + 2 * value) / 2


def test_a_process_beside_the_main_one_writes_nothing(start: Callable[..., RunDir]) -> None:
    run = start()
    toy = Toy(run, options={"checkpoint_seconds": 0, "processes": Two(2, 1)}).train()
    assert toy.loop.step == STEPS
    assert run.metrics() == []
    assert not (run.path / "checkpoint.safetensors").exists()


def test_means_are_those_of_all_processes() -> None:
    means = RunningMeans(torch.device("cpu"))
    assert means.copied() == {}
    for value in (1.0, 2.0):
        means.add({"x": torch.tensor(value, dtype=torch.bfloat16, requires_grad=True)})
    assert means.copied(ALONE) == {"x": 1.5}
    assert means.copied(Two(2, 0)) == {"x": 2.25}


def test_moments_come_back_in_the_layout_of_their_weights() -> None:
    # A 1 x 1 kernel is contiguous in both layouts: a file cannot tell which one it had.
    network = nn.Conv2d(4, 4, 1)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 4, 2, 2)).sum().backward()
    optimiser.step()
    state = optimiser.state[network.weight]
    plain = state["exp_avg"].contiguous().clone(memory_format=torch.contiguous_format)
    state["exp_avg"] = torch.empty(4, 4, 1, 1).copy_(plain)
    assert state["exp_avg"].stride() != network.weight.stride()
    restore_layout(optimiser)
    restored = optimiser.state[network.weight]["exp_avg"]
    assert restored.stride() == network.weight.stride()
    assert torch.equal(restored, plain)


def test_what_goes_beyond_the_total_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hzsynth.core.progress._LineTask._EVERY_SECONDS", 0.0)
    with LineProgress().task("training", 150.0, "s") as task:
        task.advance(140.0)
        task.advance(356.0)
    assert "training: 150/150 s" in capsys.readouterr().err.splitlines()[-1]
    bar = TerminalProgress()
    bar._console = Console(file=io.StringIO())
    with bar.task("training", 150.0, "s") as task:
        task.advance(140.0)
        task.advance(356.0)
        assert task._bars.tasks[0].completed == 150.0  # type: ignore[attr-defined]


def test_the_example_of_the_class_holds() -> None:
    assert doctest.testmod(training_loop).failed == 0
