from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir


class _Settings(Config):
    steps: int = Field(10, gt=0)


def _parent(path: Any, **kwargs: Any) -> Any:
    return RunDir.start(path / "parent", "kdect", _Settings(), {"images": "d"}, **kwargs)


def _child(parent: Any, config: Any = None, inputs: Any = None) -> Any:
    return parent.child("teachers/a", "classify", config or _Settings(), inputs or {"images": "d"})


def test_a_child_lies_in_its_parent_and_knows_it(tmp_path: Path) -> None:
    with _parent(tmp_path) as parent, _child(parent) as child:
        assert child.path == parent.path / "teachers/a"
        assert child.inputs == {"images": "d", "parent": parent.id}
        assert child.kind == "classify"


def test_an_unfinished_child_is_resumed_and_a_finished_one_loaded(tmp_path: Path) -> None:
    with _parent(tmp_path) as parent:
        with _child(parent) as child:
            child.save_checkpoint({"x": 1}, step=3)
        with _child(parent) as again:
            assert again.id == child.id
            assert again.stored_checkpoint() == (3, {"x": 1})
            again.finish({"score": 0.5})
        finished = _child(parent)
        assert finished.finished
        assert finished.result == {"score": 0.5}
        _child(parent).finish({"score": 0.6})  # not locked: nobody works in it


def test_two_processes_cannot_work_in_one_child(tmp_path: Path) -> None:
    with (
        _parent(tmp_path) as parent,
        _child(parent),
        pytest.raises(InputError, match="another process"),
    ):
        _child(parent)


def test_what_another_parent_left_or_other_settings_made_is_made_anew(tmp_path: Path) -> None:
    with _parent(tmp_path) as parent:
        with _child(parent) as first:
            (first.path / "model.safetensors").write_text("old")
            first.finish({})
        with _child(parent, inputs={"images": "e"}) as second:
            assert not second.finished
            assert not (second.path / "model.safetensors").exists()
            second.finish({})
        with _child(parent, _Settings(steps=20)) as third:
            assert not third.finished
            third.finish({})
    with _parent(tmp_path, force=True) as anew:
        assert not _child(anew, _Settings(steps=20)).finished


def test_a_run_that_was_killed_before_its_first_word_is_begun_again(tmp_path: Path) -> None:
    with _parent(tmp_path) as parent:
        with _child(parent) as child:
            (child.path / "run.json").unlink()
        with _child(parent) as again:
            assert not again.finished
