import os
import signal
from typing import Any

import pytest

from hzsynth.core.interrupt import deferred_interrupts
from hzsynth.core.progress import SILENT


def _steps(interrupt_at: Any) -> Any:
    """Ten steps of two halves each; a signal arrives in the middle of one of them."""
    halves = []
    with deferred_interrupts(), deferred_interrupts(), SILENT.task("steps", 10) as task:
        try:
            for step in range(10):
                halves.append((step, "first"))
                if step in interrupt_at:
                    os.kill(os.getpid(), signal.SIGINT)
                halves.append((step, "second"))
                task.advance()
        except KeyboardInterrupt:
            pass
    return halves


def test_an_interrupt_takes_effect_at_the_end_of_its_step() -> None:
    assert _steps({3})[-1] == (3, "second")
    assert len(_steps(set())) == 20


def test_a_second_interrupt_ends_at_once() -> None:
    with pytest.raises(SystemExit) as end, deferred_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the process went on")
    assert end.value.code == 130


def test_the_handlers_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    _steps({0})
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    SILENT.task("later", 1).__enter__().advance()
