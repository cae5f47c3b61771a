"""Ctrl-C that waits for the end of a step, so that a checkpoint is always whole.

While `deferred_interrupts` is active, an interrupt or a termination signal only sets a mark. Progress
tasks look at it whenever a step is complete and raise KeyboardInterrupt there; the stage
saves its checkpoint and passes the error on. A second Ctrl-C ends the process at once,
without a checkpoint: the state may be that of half a step.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit code of an interrupted command."""

_requested = threading.Event()
_active = threading.Event()


def raise_if_interrupted() -> None:
    """Raises KeyboardInterrupt when the user has asked to stop; called between two steps."""
    if _requested.is_set():
        raise KeyboardInterrupt


def _handle(_signal: int, _frame: FrameType | None) -> None:
    if _requested.is_set():
        raise SystemExit(INTERRUPTED)
    _requested.set()


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Defers Ctrl-C and termination to the end of the current step.

    May be nested (a command and the stage that it calls); outside the main thread it does
    nothing, since signals arrive in the main thread only.
    """
    if _active.is_set() or threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, _handle) for number in signals]
    _active.set()
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
        _active.clear()
        _requested.clear()
