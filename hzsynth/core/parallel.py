"""Work on many images by several processes, in order and without holding them all in memory."""

import ctypes
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTHWHILE = 1000
"""Items of some milliseconds below which starting further processes costs more than it saves."""
SLOW = 96
"""The same for items of a tenth of a second."""


_AHEAD = 4
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_KEPT, _MOST_KEPT = 32 << 20, 64 << 20
_LOOK_EVERY_SECONDS = 1.0


def available_workers() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int = 0,
    *,
    least: int | None = None,
    at_once: int = 16,
) -> Iterator[Result]:
    """Applies a function to every item, by several processes when there are many.

    Args:
        function: importable by name, or a partial of such a function; no state is shared.
        items: each small enough to be sent to another process.
        workers: processes; 0 takes every available processor, 1 works in this process.
        least: items below which this process works alone; None: `WORTHWHILE`.
        at_once: items sent to a process together.

    Yields:
        The results in the order of the items; only a few are ahead of the reader.
    """
    count = min(workers or available_workers(), max(1, len(items) // at_once))
    if count == 1 or len(items) < (WORTHWHILE if least is None else least):
        _keep_freed_memory()
        yield from map(function, items)
        return
    # Spawned and not forked: a fork copies the locks of threads that the child does not have.
    executor = ProcessPoolExecutor(
        count, get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
    )
    waiting: deque[Future[list[Result]]] = deque()
    try:
        for start in range(0, len(items), at_once):
            with _without_interrupts():
                waiting.append(executor.submit(_each, function, items[start : start + at_once]))
            if len(waiting) >= _AHEAD * count:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that start here never see ctrl-C, which is their parent's business."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _keep_freed_memory() -> None:
    """Tells glibc to keep what a picture took for the next one.

    By default the heap shrinks and grows again for every picture, and clearing its pages costs as
    much as decoding; two processes that do so at once are then no faster than one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library, which does as it likes
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_TRIM_THRESHOLD, _MOST_KEPT)


def _each(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]


def _begin(parent: int) -> None:
    """Prepares a worker, which ends soon after its parent."""
    # There is a worker for every processor already.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    os.environ["OPENCV_FOR_THREADS_NUM"] = "1"
    _keep_freed_memory()

    def watch() -> None:
        # A parent that is killed cannot tell its workers.
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
