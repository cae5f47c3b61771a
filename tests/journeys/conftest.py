"""Whole commands, run in this process: exit code, standard output and standard error."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from hzsynth.cli.main import run


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def hzsynth(capsys) -> Callable[..., Outcome]:
    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Outcome(int(end.value.code or 0), captured.out, captured.err)

    return call
