"""Whole commands, run in this process: exit code, standard output and standard error."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

import pytest

from hzsynth.cli.main import run


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """What a command that ended well printed with --json."""
        assert self.code == 0, self.err
        values: dict[str, Any] = json.loads(self.out)
        return values


def hzsynth(*arguments: object) -> Outcome:
    """Starts a command as a user would."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        run([str(argument) for argument in arguments])
    return Outcome(int(end.value.code or 0), out.getvalue(), err.getvalue())
