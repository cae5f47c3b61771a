"""Ctrl-C that waits for the end of a step, so that a checkpoint is always whole.

While `deferred_interrupts` is active, an interrupt or a termination signal only sets a mark. Progress
tasks look at it whenever a step is complete and raise KeyboardInterrupt there; the stage
saves its checkpoint and passes the error on. A second Ctrl-C interrupts at once.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_requested = threading.Event()


def raise_if_interrupted() -> None:
    """Raises KeyboardInterrupt when the user has asked to stop; called between two steps."""
    if _requested.is_set():
        raise KeyboardInterrupt


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Defers Ctrl-C and termination to the next step's end; for the main thread of a command."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if _requested.is_set():
            raise KeyboardInterrupt
        _requested.set()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
        _requested.clear()
