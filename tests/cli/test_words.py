"""Sentences of the library name fields; a command writes them as its options and arguments."""

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from hzsynth.cli.commands import command
from hzsynth.cli.session import Session
from hzsynth.core.errors import InputError


def _explained(sentence: str) -> str:
    @command("score")
    def score(
        session: Session,
        images: Annotated[list[Path], typer.Argument(metavar="SET...")],
        subset_size: Annotated[int, typer.Option()] = 8,
        keep: Annotated[str, typer.Option("--filter")] = "none",
    ) -> None:
        raise InputError(sentence)

    with pytest.raises(InputError) as error:
        score.build()(["photos"], standalone_mode=False)
    return str(error.value)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("`subset_size` is at most 8, not 9", "--subset-size is at most 8, not 9"),
        ("`keep` and `dry_run` go together", "--filter and --dry-run go together"),
        ("`images` has no split", "SET has no split"),
        ("`temperature` is at least 1; see `hzsynth data split`",) * 2,
        ("'subset_size' stays",) * 2,
    ],
)
def test_backticked_names_become_options(sentence: Any, expected: Any) -> None:
    assert _explained(sentence) == expected
