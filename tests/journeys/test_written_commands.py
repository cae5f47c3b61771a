"""Commands in the README and in docs can be typed as written, and the README's in their order."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from hzsynth.cli.main import ROOMS

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "README.ko.md", *sorted((ROOT / "docs").rglob("*.md")))
OF_THE_READER = {"MY_PHOTOS", "내사진", "photo.jpg", "DIR"}
_ROOMS = {room.name: room for room in ROOMS}


def _written(page: Path) -> list[list[str]]:
    """The words of every command after ``$ hzsynth``, without comments; dots stand for more."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^\$ hzsynth (.+)$", text, re.M)
    commands = [shlex.split(line, comments=True) for line in lines]
    return [words for words in commands if "..." not in words]


def _parsed(words: list[str]) -> Any:
    """What the parser makes of a command; it raises where an option or a choice is not there."""
    command, rest = _ROOMS[words[0]].load(), words[1:]
    if hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    return command.make_context(" ".join(words[:2]), list(rest))


def _read(values: dict[str, Any]) -> set[str]:
    """The files and folders that a command reads, each by its first part."""
    paths = [p for v in values.values() for p in (v if isinstance(v, (list, tuple)) else [v])]
    named = {str(path) for path in paths if isinstance(path, Path)}
    named |= {str(path).split("=")[-1] for path in values.get("generator") or () if "=" in path}
    return {name.split("/")[0] for name in named}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_typed(page: Path) -> None:
    for words in _written(page):
        _parsed(words)


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.name)
def test_the_readme_uses_what_it_has_made(page: Path) -> None:
    made = set(OF_THE_READER)
    for words in _written(page):
        values = dict(_parsed(words).params)
        out = values.pop("out", None)
        assert _read(values) <= made, words
        if out is not None:
            made.add(str(out))


def test_both_readmes_write_the_same_commands() -> None:
    english, korean = (_written(page) for page in PAGES[:2])
    assert english == [[w.replace("내사진", "MY_PHOTOS") for w in words] for words in korean]
