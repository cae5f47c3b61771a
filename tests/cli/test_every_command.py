"""Every command is started by some test, and its help says and checks what it takes."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hzsynth.cli.main import ROOMS
from tests.commands import hzsynth

TESTS = Path(__file__).parents[1]


def _commands() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for room in ROOMS:
        built = room.load()
        inner = getattr(built, "commands", None)
        found |= {f"{room.name} {n}": c for n, c in inner.items()} if inner else {room.name: built}
    return found


COMMANDS = _commands()
_ANY = {"kind": "phantom"}


def _options(command: Any) -> list[Any]:
    return [parameter for parameter in command.params if parameter.param_type_name == "option"]


def test_every_command_is_started_by_a_test_that_reads_its_result() -> None:
    texts = (path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    said = {name for text in texts for call in re.findall(r"@starts\(([^)]*)\)", text)
            for name in re.findall(r'"([^"]+)"', call)}  # fmt: skip
    assert said == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_every_option_and_lists_every_choice(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    outcome = hzsynth(*name.split(), "--help")
    assert outcome.code == 0, outcome.err
    assert "{" not in outcome.out.splitlines()[1]  # Usage: ... RUN IMAGE... [OPTIONS]
    assert "<bool>" not in outcome.out
    unwrapped = re.sub(r"[\s│]+", "", outcome.out)
    for option in _options(COMMANDS[name]):
        assert option.help, option.name
        assert option.opts[0] in outcome.out
        choices = option.type_descriptor.choices or ()
        assert all(str(choice) in unwrapped for choice in choices)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_choice_that_is_none_is_refused_with_those_that_are(name: str) -> None:
    choosable = [o for o in _options(COMMANDS[name]) if "|" in (o.metavar or "")]
    given: list[str] = []
    for needed in (parameter for parameter in COMMANDS[name].params if parameter.required):
        given += [*(o for o in needed.opts[:1] if o.startswith("--")), _ANY.get(needed.name, "1")]
    for option in choosable:
        if option.name in ("device", "precision"):
            continue
        outcome = hzsynth(*name.split(), *given, option.opts[0], "no-such-choice", "--dry-run")
        assert outcome.code == 2, outcome
        assert option.opts[0] in outcome.err
        assert "no-such-choice" in outcome.err or "does not go with" in outcome.err


def test_texts_of_single_commands_and_of_the_root_agree() -> None:
    listed = re.sub(r"[\s│]+", " ", hzsynth("--help").out)
    for room in ROOMS:
        assert room.text in listed


@pytest.mark.parametrize("room", [room.name for room in ROOMS])
def test_help_of_a_group_needs_no_heavy_library(room: str) -> None:
    code = (
        "import sys; from hzsynth.cli.main import app\n"
        f"try: app(['{room}', '--help'], standalone_mode=False)\n"
        "finally: print('LOADED', *(m for m in ('torch', 'timm', 'skimage') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_help_and_version_load_no_room() -> None:
    code = (
        "import sys; from hzsynth.cli.main import app\n"
        "app(['--help'], standalone_mode=False)\n"
        "print('LOADED', *(m for m in ('pydantic', 'numpy', 'torch') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("hzsynth ga", {"gan"}),
        ("hzsynth gan tr", {"train"}),
        ("hzsynth gan train --gener", {"--generator", "--generator-rate"}),
        ("hzsynth gan train --generator ", {"light", "stylegan2"}),
        ("hzsynth score a b --metrics kid,to", {"kid,tone"}),
        ("hzsynth data import sd", {"sd198", "sd260"}),
    ],
)
def test_completion(words: str, expected: set[str]) -> None:
    names = ("_HZSYNTH_COMPLETE", "_TYPER_COMPLETE_ARGS", "COMP_WORDS", "COMP_CWORD")
    count = str(len(words.split(" ")) - 1)
    values = ("complete_bash", words, words, count)
    code = "import sys; sys.argv = ['hzsynth']; from hzsynth.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **dict(zip(names, values, strict=True))},
    )
    assert set(done.stdout.split()) == expected, done.stderr
