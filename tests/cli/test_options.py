"""Options are made of the fields of a config: all is said once, there."""

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from hzsynth.cli.commands import command
from hzsynth.cli.session import Session
from hzsynth.core.config import Config
from hzsynth.core.errors import InputError


class _Network(Config):
    width: int = Field(8, ge=1, description="channels of a layer")
    seed: int = Field(0, description="its own")


class _Settings(Config):
    rate: float = Field(0.5, gt=0, lt=1, description="how fast; see `kinds`")
    kinds: tuple[Literal["red", "blue"], ...] = Field(("red",), description="red or blue ones")
    weights: tuple[float, ...] = Field((), description="one a kind")
    start: Path | None = Field(None, description="a file to begin with")
    flip: bool = Field(True, description="mirror half")
    seed: int = Field(0, description="root")
    network: _Network = Field(default_factory=_Network, description="the network")


class _Other(Config):
    rate: float = Field(0.5, description="the same")


def _resolved(*arguments: str, kind: type[Config] = _Settings) -> Any:
    found: list[Config] = []

    @command("fit", _Settings, usual=("kinds",))
    def fit(session: Session) -> None:
        """Fits."""
        found.append(session.resolve(kind, "`rate`"))

    fit.build()(list(arguments), standalone_mode=False)
    return found[0]


def test_values_reach_their_fields() -> None:
    values = _resolved(
        *("--rate", "0.25", "--kinds", "red,blue", "--weights", "1", "--weights", "2,3"),
        *("--no-flip", "--seed", "7", "--width", "16"),
    )
    assert values == _Settings(
        rate=0.25, kinds=("red", "blue"), weights=(1, 2, 3), flip=False, seed=7,
        network=_Network(width=16),
    )  # fmt: skip


def test_a_path_is_kept_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert _resolved("--start", "here").start == tmp_path / "here"


def test_options_override_a_table_of_the_file_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("rate = 0.125\n[network]\nwidth = 4\nseed = 3\n")
    values = _resolved("--config", str(file), "--width", "2")
    assert (values.rate, values.network) == (0.125, _Network(width=2, seed=3))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--rate", "2"), "--rate is a number above 0 and below 1, not '2'"),
        (("--rate", "fast"), "--rate is a number above 0 and below 1, not 'fast'"),
        (("--kinds", "red,green"), "--kinds is one or more of red, blue, not 'green'"),
        (("--width", "0"), "--width is a whole number from 1, not '0'"),
    ],
)
def test_a_wrong_value_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        _resolved(*arguments)
    assert str(error.value) == sentence


def test_a_setting_of_another_choice_is_refused() -> None:
    with pytest.raises(InputError, match="--kinds does not go with --rate"):
        _resolved("--kinds", "red", kind=_Other)


def test_help_says_what_the_fields_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises((SystemExit, AssertionError, IndexError)):
        _resolved("--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "--rate <number> above 0 and below 1 How fast; see --kinds. [default: 0.5]" in shown
    assert "--kinds red|blue,... red or blue ones. [default: red]" in shown
    assert "--flip --no-flip Mirror half. [default: yes]" in shown
    assert "--width <int> from 1 Channels of a layer. [default: 8]" in shown
    assert shown.index("--kinds") < shown.index("Further settings") < shown.index("--weights")
