"""What becomes of what is at a run's place."""

from pathlib import Path

import pytest
from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.stages.places import Place


class _Settings(Config):
    steps: int = Field(10, gt=0)


def _finished(place: Place, steps: int = 10) -> str:
    with place.run("gan", _Settings(steps=steps), {"images": "d"}) as run:
        if not run.finished:
            run.finish({})
    return run.id


def test_a_finished_run_is_refused_by_the_commands_and_handed_out_in_python(tmp_path: Path) -> None:
    path = tmp_path / "run"
    first = _finished(Place(path))
    with pytest.raises(InputError, match="already finished"):
        _finished(Place(path))
    assert _finished(Place(path, reuse=True)) == first
    with pytest.raises(InputError, match="already finished"):
        _finished(Place(path, reuse=True), steps=11)
    assert _finished(Place(path, reuse=True, force=True)) != first


def test_a_run_is_gone_when_an_input_is_refused_before_its_first_step(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with (
        pytest.raises(InputError, match="no such class"),
        Place(path).run("gan", _Settings(), {"images": "d"}),
    ):
        raise InputError("no such class")
    assert not path.exists()


def test_an_unfinished_run_is_resumed_and_it_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    place = Place(tmp_path / "run", say=said.append)
    with pytest.raises(KeyboardInterrupt), place.run("gan", _Settings(), {}) as run:
        run.save_checkpoint({}, 3)
        raise KeyboardInterrupt
    with place.run("gan", _Settings(), {}) as again:
        assert again.id == run.id
    assert said == [f"resuming the unfinished run {run.path}"]
