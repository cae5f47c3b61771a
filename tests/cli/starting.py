"""Which command a test starts and whose result it reads."""

from collections.abc import Callable
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., None])


def starts(*commands: str) -> Callable[[Test], Test]:
    """Says it of a test; `test_every_command.py` looks for what no test starts."""

    def said(test: Test) -> Test:
        test.starts = commands  # type: ignore[attr-defined]
        return test

    return said
