"""Where a stage's run lies, and what becomes of what is there already."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hzsynth.core.config import Config
from hzsynth.core.errors import HzsynthError
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.run import RunDir, start_together

Say = Callable[[str], None]
"""Receives a remark for the user."""


def say_nothing(_: str) -> None:
    """Keeps remarks to itself."""


@dataclass(frozen=True)
class Place:
    """Where a run is made.

    Attributes:
        path: the run's directory.
        force: start anew where a run is already.
        reuse: hand out a finished run of the same settings and inputs, instead of refusing it.
        processes: that work on the run together.
        say: receives remarks.
    """

    path: Path
    force: bool = False
    reuse: bool = False
    processes: Processes = ALONE
    say: Say = say_nothing

    @contextmanager
    def run(self, kind: str, config: Config, inputs: Mapping[str, str]) -> Iterator[RunDir]:
        """The run of a stage, for as long as it is worked on.

        It is removed again when an input is refused before its first step.

        Args:
            kind: the stage.
            config: its resolved configuration.
            inputs: name of each input -> digest.

        Yields:
            The run: new, resumed, or `finished` where that was asked for.

        Raises:
            InputError: the place is taken (see `core.run.RunDir.start`).
        """
        if self.reuse and not self.force and RunDir.is_at(self.path):
            existing = RunDir.load(self.path)
            if existing.finished and existing.answers(kind, config, inputs):
                yield existing
                return
        with start_together(
            self.processes, self.path, kind, config, inputs, force=self.force
        ) as run:
            if run.has_checkpoint:
                self.say(f"resuming the unfinished run {run.path}")
            try:
                yield run
            except HzsynthError:
                if self.processes.is_main:
                    run.discard_unless_begun()
                raise
