"""The folder in which a set grows until it is whole, and what of it a killed process has left.

It lies beside the set as ``.NAME.KEY.partial``. The key stands for what is being made: the
same command finds its own folder again and goes on after the last image in the journal; what
another command left there is removed. A lock keeps two processes apart, and a kill frees it.
"""

import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol, TypeVar

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.parallel import parallel_map
from hzsynth.core.progress import Progress

_FEWEST_AT_ONCE, _MOST_AT_ONCE = 16, 128
_SUFFIX, _LOCK, _JOURNAL = ".partial", ".lock", ".journal"


class PartialFolder:
    """A set's folder in the making.

    Args:
        path: where the set will be.
        key: stands for inputs and settings; empty for a set that is never gone on with.

    Attributes:
        root: the folder.
        done: rows of the images that are there already, by file name.

    Raises:
        InputError: another process is making the same set.
        OSError: the place cannot be written to.
    """

    def __init__(self, path: Path, key: str = "") -> None:
        parent = path.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.name[:80]}."
        mine = parent / f"{prefix}{key[:16]}{_SUFFIX}" if key else None
        _remove_abandoned(parent, prefix, mine)
        if mine is None:
            mine = Path(tempfile.mkdtemp(dir=parent, prefix=prefix, suffix=_SUFFIX))
            mine.chmod(0o755)
        else:
            mine.mkdir(exist_ok=True)
        self.root, self._resumable = mine, bool(key)
        self._lock = (mine / _LOCK).open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InputError(f"another process is writing '{path}'") from None
        self.done = self._read_journal()
        self._journal: IO[str] = (mine / _JOURNAL).open("a", encoding="utf-8")

    def _read_journal(self) -> dict[str, ImageRecord]:
        path = self.root / _JOURNAL
        if not path.is_file():
            return {}
        rows = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                values = json.loads(line)
            except ValueError:
                break  # a kill cut the last line short
            row = ImageRecord(**{**values, "parents": tuple(values["parents"])})
            if (self.root / row.file_name).is_file():
                rows[row.file_name] = row
        text = "".join(_line(row) for row in rows.values())
        path.write_text(text, encoding="utf-8")
        return rows

    def note(self, record: ImageRecord) -> None:
        """Writes down that an image is there, files and all."""
        if self._resumable and record.file_name not in self.done:
            self._journal.write(_line(record))
            self._journal.flush()

    def publish(self, path: Path) -> None:
        """Gives the folder its name; a set that was there is replaced."""
        self._journal.close()
        (self.root / _JOURNAL).unlink()
        (self.root / _LOCK).unlink()
        old: Path | None = None
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=self.root.parent, suffix=_SUFFIX))
            os.replace(path, old / "old")
        os.replace(self.root, path)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)

    def close(self, keep: bool) -> None:
        """Frees the lock; what is there is removed unless it is kept to be gone on with."""
        self._journal.close()
        self._lock.close()
        if not (keep and self._resumable):
            shutil.rmtree(self.root, ignore_errors=True)


def _line(record: ImageRecord) -> str:
    return json.dumps(vars(record), ensure_ascii=False) + "\n"


def _remove_abandoned(parent: Path, prefix: str, mine: Path | None) -> None:
    """Removes what killed processes have left; one at work holds its lock."""
    for left in parent.glob(f"{glob.escape(prefix)}*{_SUFFIX}"):
        if left == mine:
            continue
        try:
            with (left / _LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue


class Order(Protocol):
    """One image to be made by whatever process."""

    @property
    def target(self) -> str:
        """Its file name in the set."""


OrderType = TypeVar("OrderType", bound=Order)


def carry_out(
    orders: Sequence[OrderType],
    work: Callable[[OrderType], ImageRecord | str],
    done: dict[str, ImageRecord],
    *,
    workers: int,
    progress: Progress,
    description: str,
    least: int | None = None,
) -> Iterator[ImageRecord | str]:
    """Makes the images that are not there yet, by several processes.

    Args:
        orders: all images of the set.
        work: makes one; gives its row, or the sentence why it cannot be made.
        done: rows of what is there already (see `PartialFolder`).
        workers: processes; 0 takes every available processor.
        progress: where progress is shown.
        description: a few words.
        least: images below which this process works alone (see `parallel_map`).

    Yields:
        A row or a sentence for every order, in their order.
    """
    missing = [order for order in orders if order.target not in done]
    there = len(orders) - len(missing)
    # Of many, more go at once: sending them costs as much as a small picture. A kill loses those.
    at_once = max(_FEWEST_AT_ONCE, min(_MOST_AT_ONCE, len(missing) // 200))
    made = parallel_map(work, missing, workers, least=least, at_once=at_once)
    with progress.task(description, total=len(orders), unit="img", done=there) as task:
        for order in orders:
            if order.target in done:
                yield done[order.target]
            else:
                yield next(made)
                task.advance(1)
