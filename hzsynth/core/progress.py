"""One progress bar for every long job: rich on a terminal and in notebooks, plain lines elsewhere."""

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from hzsynth.core.interrupt import raise_if_interrupted


class Task:
    """A job whose progress is shown; this base shows nothing."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Reports that `amount` more units are done and whole; `note` is shown beside the bar.

        What goes beyond the total is not shown.

        Raises:
            KeyboardInterrupt: the user asked to stop (see `core.interrupt`); what was
                reported is complete, so a checkpoint may be saved.
        """
        self._show(amount, note)
        raise_if_interrupted()

    def _show(self, amount: float, note: str) -> None:
        pass


class Progress:
    """Shows nothing; the base of the others and the default of every stage."""

    @contextmanager
    def task(
        self, description: str, total: float, unit: str = "it", done: float = 0
    ) -> Iterator[Task]:
        """Opens a job.

        Args:
            description: a few words.
            total: units in the whole job.
            unit: what is counted, such as ``img``.
            done: units that were done before (a resumed job).

        Yields:
            The task to report to.
        """
        yield Task()


SILENT = Progress()


class _BarTask(Task):
    def __init__(self, bars: RichProgress, task: TaskID, unit: str) -> None:
        self._bars, self._task, self._unit = bars, task, unit

    def _show(self, amount: float, note: str) -> None:
        task = self._bars.tasks[self._bars.task_ids.index(self._task)]
        left = amount if task.total is None else max(0.0, task.total - task.completed)
        self._bars.advance(self._task, min(amount, left))
        speed = task.speed
        rate = f"{speed:.1f} {self._unit}/s" if speed else ""
        fields = {"rate": rate, "note": note} if note else {"rate": rate}
        self._bars.update(self._task, **fields)  # type: ignore[arg-type]


class TerminalProgress(Progress):
    """A bar with rate and time left on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    @contextmanager
    def task(
        self, description: str, total: float, unit: str = "it", done: float = 0
    ) -> Iterator[Task]:
        """Opens a job (see `Progress.task`)."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with RichProgress(*columns, console=self._console, transient=True) as bars:
            task = bars.add_task(description, total=total, completed=int(done), rate="", note="")
            yield _BarTask(bars, task, unit)


class _LineTask(Task):
    _EVERY_SECONDS = 15.0

    def __init__(self, description: str, total: float, unit: str, done: float) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._first, self._done = done, done
        self._start = self._shown = time.monotonic()

    def _show(self, amount: float, note: str) -> None:
        self._done = min(self._total, self._done + amount)
        now = time.monotonic()
        if now - self._shown < self._EVERY_SECONDS:
            return
        self._shown = now
        rate = (self._done - self._first) / (now - self._start)
        left = max(0.0, self._total - self._done) / rate if rate > 0 else 0.0
        print(
            f"{self._description}: {self._done:g}/{self._total:g} {self._unit}, "
            f"{rate:.3g} {self._unit}/s, {left:.0f} s left{f', {note}' if note else ''}",
            file=sys.stderr,
            flush=True,
        )


class LineProgress(Progress):
    """A plain line now and then on standard error, for logs and pipes."""

    @contextmanager
    def task(
        self, description: str, total: float, unit: str = "it", done: float = 0
    ) -> Iterator[Task]:
        """Opens a job (see `Progress.task`)."""
        yield _LineTask(description, total, unit, done)


def choose_progress(quiet: bool = False) -> Progress:
    """A bar on a terminal or in a notebook, plain lines otherwise, nothing when `quiet`."""
    if quiet:
        return SILENT
    return TerminalProgress() if sys.stderr.isatty() or _notebook_shows_bars() else LineProgress()


def _notebook_shows_bars() -> bool:
    """Whether this is a notebook's kernel with the widgets in which rich draws its bars."""
    return "ipykernel" in sys.modules and importlib.util.find_spec("ipywidgets") is not None
