"""RunDir: everything one stage did, enough to rerun it and to resume it after a kill.

A run directory holds ``run.json`` (what was asked, of which inputs, by which version),
``metrics.jsonl`` (one line a report), ``checkpoint.safetensors`` (the newest state),
``training_images.csv`` (what a generator learned from) and, when all is done,
``finished.json`` (the result).
"""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hzsynth.core.checkpoint import load_checkpoint, save_checkpoint
from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_text, explain_os_error
from hzsynth.core.image_record import TrainingImage, read_training_images, training_images_csv
from hzsynth.core.metrics_log import MetricsLog
from hzsynth.core.tracking import Tracker
from hzsynth.version import __version__

if TYPE_CHECKING:
    from hzsynth.core.processes import Processes

FORMAT = 1
_RUN, _FINISHED, _LOCK = "run.json", "finished.json", ".lock"
_METRICS, _CHECKPOINT, _TRAINING = "metrics.jsonl", "checkpoint.safetensors", "training_images.csv"


class RunDir:
    """One run of one stage on disk. Made by `start` (to work in) or `load` (to read).

    Attributes:
        path: the directory.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self._header = header
        self._lock: int | None = None
        self._metrics = MetricsLog(path / _METRICS)

    @classmethod
    def start(
        cls,
        path: Path,
        kind: str,
        config: Config,
        inputs: Mapping[str, str],
        force: bool = False,
    ) -> "RunDir":
        """Creates a run, or goes on with an unfinished one of the same stage, config and inputs.

        Args:
            path: the run's directory.
            kind: the stage, such as ``gan``.
            config: its resolved configuration.
            inputs: name of each input -> digest.
            force: start anew where a run is already there.

        Returns:
            The run, locked for this process.

        Raises:
            InputError: the place is taken by something else, by a finished run, or by an
                unfinished run with other settings or inputs; or it cannot be written to.
        """
        asked = _asked(kind, config, inputs)
        existing = cls._existing(path)
        if existing is not None and not force:
            existing._refuse_unless_resumable(asked)
            existing._acquire()
            return existing
        header = {
            "format": FORMAT,
            "id": f"{kind}-{uuid.uuid4().hex[:12]}",
            "version": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **asked,
        }
        run = cls(path, header)
        try:
            path.mkdir(parents=True, exist_ok=True)
            run._acquire()
            for name in (_FINISHED, _CHECKPOINT, _METRICS, _TRAINING):
                (path / name).unlink(missing_ok=True)
        except OSError as error:
            raise explain_os_error("write to", path, error) from error
        atomic_write_text(path / _RUN, json.dumps(header, indent=2, ensure_ascii=False))
        return run

    def child(
        self,
        name: str,
        kind: str,
        config: Config,
        inputs: Mapping[str, str],
        processes: "Processes | None" = None,
    ) -> "RunDir":
        """A run within this one: loaded when it is finished, resumed when it is begun, else new.

        What another parent left at this place (after ``force``), and what was made with other
        settings or of other inputs, is made anew.

        Args:
            name: where it lies, relative to this run.
            kind: the stage.
            config: its resolved configuration.
            inputs: name of each input -> digest; the parent is recorded beside them.
            processes: that work on the run together; the main one writes.

        Returns:
            The run: `finished`, or locked for this process to work in.

        Raises:
            InputError: another process works in it, or it cannot be written to.
        """
        path, inputs = self.path / name, {**inputs, "parent": self.id}
        main = processes is None or processes.is_main
        existing = RunDir.load(path) if self.is_at(path) else None
        leftover = existing is not None and not existing.answers(kind, config, inputs)
        if existing is not None and existing.finished and not leftover:
            return existing
        if processes is not None:
            processes.wait()  # all have looked before the main one begins to write
        if leftover and main:
            shutil.rmtree(path)
        if processes is not None:
            return start_together(processes, path, kind, config, inputs)
        return RunDir.start(path, kind, config, inputs)

    def answers(self, kind: str, config: Config, inputs: Mapping[str, str]) -> bool:
        """Whether the run is of this stage, with these settings and inputs."""
        asked = _asked(kind, config, inputs)
        return all(self._header[part] == value for part, value in asked.items())

    @classmethod
    def _existing(cls, path: Path) -> "RunDir | None":
        if not path.exists():
            return None
        if not path.is_dir():
            raise InputError(f"`out` '{path}' is a file, expected a run directory")
        if cls.is_at(path):
            return cls.load(path)
        if any(file.name != _LOCK for file in path.iterdir()):
            raise InputError(f"`out` '{path}' is not empty and holds no run; name a new folder")
        return None

    @classmethod
    def load(cls, path: Path, kind: str | None = None) -> "RunDir":
        """Opens a run to read it.

        Args:
            path: the run's directory.
            kind: the expected stage; None for any.

        Returns:
            The run.

        Raises:
            InputError: there is no run, it is damaged, or it is of another stage.
        """
        try:
            header = json.loads((path / _RUN).read_text(encoding="utf-8"))
            header["kind"], header["id"], header["config"]
        except FileNotFoundError:
            raise InputError(f"'{path}' is not a run directory: it has no {_RUN}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"'{path / _RUN}' cannot be read: {error}") from error
        if header.get("format", 0) > FORMAT:
            raise InputError(f"'{path}' was written by a newer hzsynth: update hzsynth")
        if kind is not None and header["kind"] != kind:
            raise InputError(f"'{path}' is a run of '{header['kind']}', expected '{kind}'")
        return cls(path, header)

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether a run, finished or not, is at this place."""
        return (path / _RUN).is_file()

    def _refuse_unless_resumable(self, asked: Mapping[str, Any]) -> None:
        hint = "use `force` to start anew, or another `out`"
        if self.finished:
            raise InputError(f"the run '{self.path}' is already finished; {hint}")
        if self.kind != asked["kind"]:
            raise InputError(
                f"'{self.path}' holds a run of '{self.kind}', not of '{asked['kind']}'; {hint}"
            )
        for part, name in (("config", "setting"), ("inputs", "input")):
            before, now = self._header[part], asked[part]
            changed = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
            if changed:
                key = changed[0]
                raise InputError(
                    f"the unfinished run '{self.path}' has another {name} '{key}' "
                    f"({before.get(key)} instead of {now.get(key)}); {hint}"
                )

    def _acquire(self) -> None:
        try:
            self._lock = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            raise explain_os_error("write to", self.path, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise InputError(f"another process is working in '{self.path}'") from None

    def discard_unless_begun(self) -> None:
        """Removes the run when nothing was done in it: an input was refused before the first step."""
        begun = (_FINISHED, _CHECKPOINT, _METRICS)
        if any((self.path / name).exists() for name in begun):
            return
        if {p.name for p in self.path.iterdir()} <= {_RUN, _TRAINING, _LOCK}:
            for name in (_RUN, _TRAINING, _LOCK):
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()

    def close(self) -> None:
        """Releases the lock; a process that ends or is killed does so by itself."""
        self._metrics.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def id(self) -> str:
        """Identifies the run wherever its images travel."""
        return str(self._header["id"])

    @property
    def kind(self) -> str:
        """The stage."""
        return str(self._header["kind"])

    @property
    def created(self) -> str:
        """When the run was begun: UTC, ISO 8601."""
        return str(self._header["created"])

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, as plain values."""
        return dict(self._header["config"])

    @property
    def inputs(self) -> dict[str, str]:
        """Name of each input -> digest."""
        return dict(self._header["inputs"])

    @property
    def finished(self) -> bool:
        """Whether the stage ran to its end."""
        return (self.path / _FINISHED).is_file()

    @property
    def result(self) -> dict[str, Any]:
        """What `finish` stored.

        Raises:
            InputError: the run is not finished.
        """
        if not self.finished:
            raise InputError(
                f"the run '{self.path}' is not finished: repeat its command to resume it"
            )
        result: dict[str, Any] = json.loads((self.path / _FINISHED).read_text(encoding="utf-8"))
        return result

    def save_checkpoint(self, state: Any, step: int) -> None:
        """Stores the newest state; an earlier checkpoint is replaced atomically."""
        save_checkpoint(self.path / _CHECKPOINT, self.kind, {"step": step, "state": state})

    @property
    def has_checkpoint(self) -> bool:
        """Whether a state is stored."""
        return (self.path / _CHECKPOINT).is_file()

    def stored_checkpoint(self) -> tuple[int, Any]:
        """Step and state of the newest checkpoint, for one who only reads the run.

        Raises:
            InputError: the run has no checkpoint, or it is damaged or of another kind.
        """
        if not self.has_checkpoint:
            raise InputError(f"the run '{self.path}' has no checkpoint")
        stored = load_checkpoint(self.path / _CHECKPOINT, self.kind)
        return int(stored["step"]), stored["state"]

    def load_checkpoint(self, writing: bool = True) -> Any:
        """The newest state, or None; lines of the metrics beyond its step are dropped.

        Args:
            writing: False in a process that only reads along with the one that writes the run.

        Raises:
            InputError: the checkpoint is damaged or of another kind.
        """
        if not self.has_checkpoint:
            if writing:
                self._metrics.clear()
            return None
        stored = load_checkpoint(self.path / _CHECKPOINT, self.kind)
        if not writing:
            return stored["state"]
        self._metrics.keep_until(int(stored["step"]))
        return stored["state"]

    def log(self, step: int, **values: float | str) -> None:
        """Appends one line to the metrics."""
        self._metrics.add(step, **values)

    def mirror_metrics(self, tracker: Tracker) -> None:
        """Hands every further line of the metrics to a tracker too."""
        self._metrics.mirror(tracker)

    def metrics(self) -> list[dict[str, Any]]:
        """All reports so far; a last line that a kill cut short is left out."""
        return self._metrics.reports()

    def record_training(self, images: Iterable[TrainingImage]) -> None:
        """Keeps the list of images that this run learns from (before its first step).

        Args:
            images: the images with everything behind them (see `core.lineage.learned_from`).
        """
        atomic_write_text(self.path / _TRAINING, training_images_csv(images))

    def training_images(self) -> tuple[TrainingImage, ...]:
        """What the run learned from.

        Raises:
            InputError: the run has no such list.
        """
        return read_training_images(self.path / _TRAINING)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Stores the result and marks the run as finished."""
        text = json.dumps(dict(result), indent=2, ensure_ascii=False)
        atomic_write_text(self.path / _FINISHED, text)


def _asked(kind: str, config: Config, inputs: Mapping[str, str]) -> dict[str, Any]:
    """What tells a run from others, as it stands in its header."""
    return {"kind": kind, "config": config.model_dump(mode="json"), "inputs": dict(inputs)}


def start_together(
    processes: "Processes",
    path: Path,
    kind: str,
    config: Config,
    inputs: Mapping[str, str],
    force: bool = False,
) -> RunDir:
    """`RunDir.start` in the main process; the others wait for it and open the run to read.

    Args:
        processes: that work on the run together.
        path: the run's directory.
        kind: the stage.
        config: its resolved configuration.
        inputs: name of each input -> digest.
        force: start anew where a run is already there.

    Raises:
        InputError: as `RunDir.start`.
    """
    if not processes.is_main:
        processes.wait()
        return RunDir.load(path, kind)
    run = RunDir.start(path, kind, config, inputs, force=force)
    processes.wait()
    return run
