import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.run import RunDir


class _Settings(Config):
    steps: int = Field(10, gt=0)
    name: str | None = None


def _start(path: Any, config: Any = None, inputs: Any = None, **kwargs: Any) -> Any:
    return RunDir.start(path, "gan", config or _Settings(), inputs or {"images": "d"}, **kwargs)


def test_an_unfinished_run_is_resumed_and_a_finished_one_refused(tmp_path: Path) -> None:
    run = _start(tmp_path / "r")
    run.save_checkpoint({"x": 1}, step=3)
    run.close()
    again = _start(tmp_path / "r")
    assert again.id == run.id
    assert again.load_checkpoint() == {"x": 1}
    again.finish({"kid": 0.5})
    again.close()
    assert RunDir.load(tmp_path / "r", "gan").result == {"kid": 0.5}
    with pytest.raises(InputError, match="already finished"):
        _start(tmp_path / "r")
    anew = _start(tmp_path / "r", force=True)
    assert anew.id != run.id
    assert anew.load_checkpoint() is None
    assert not anew.finished


def test_other_settings_or_inputs_do_not_resume(tmp_path: Path) -> None:
    _start(tmp_path / "r").close()
    with pytest.raises(InputError, match=r"another setting 'steps' \(10 instead of 20\)"):
        _start(tmp_path / "r", _Settings(steps=20))
    with pytest.raises(InputError, match="another input 'images'"):
        _start(tmp_path / "r", inputs={"images": "e"})


def test_two_processes_cannot_work_in_one_run(tmp_path: Path) -> None:
    run = _start(tmp_path / "r")
    with pytest.raises(InputError, match="another process"):
        _start(tmp_path / "r")
    run.close()
    _start(tmp_path / "r").close()


def test_metrics_beyond_the_checkpoint_are_dropped_on_resume(tmp_path: Path) -> None:
    run = _start(tmp_path / "r")
    for step in range(1, 6):
        run.log(step, loss=step / 10)
        if step == 3:
            run.save_checkpoint({}, step)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    run.load_checkpoint()
    assert [line["step"] for line in run.metrics()] == [1, 2, 3]


def test_places_that_are_no_run_are_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        _start(tmp_path / "full")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        _start(tmp_path / "file")
    with pytest.raises(InputError, match="not a run directory"):
        RunDir.load(tmp_path / "full")
    (tmp_path / "full" / "run.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        RunDir.load(tmp_path / "full")


def test_the_training_list_is_kept(tmp_path: Path) -> None:
    run = _start(tmp_path / "r")
    run.record_training([TrainingImage("s", "p", "g"), TrainingImage("w", "", "", "watched")])
    assert run.training_images() == (
        TrainingImage("s", "p", "g"),
        TrainingImage("w", "", "", "watched"),
    )


def test_unknown_keys_and_wrong_values_are_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("stepz = 3\n")
    with pytest.raises(
        InputError, match="unknown configuration key 'stepz'; allowed are name, steps"
    ):
        _Settings.from_sources(file)
    with pytest.raises(InputError, match="`steps` is a whole number above 0"):
        _Settings.from_sources(None, {"steps": 0})
    file.write_text("steps = = 3")
    with pytest.raises(InputError, match="not valid TOML"):
        _Settings.from_sources(file)
    with pytest.raises(InputError, match="cannot read"):
        _Settings.from_sources(tmp_path / "none.toml")


def test_options_override_the_file_and_toml_round_trips(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    _Settings(steps=3, name="이름").save(file)
    assert _Settings.from_sources(file) == _Settings(steps=3, name="이름")
    assert _Settings.from_sources(file, {"steps": 4, "name": None}).steps == 4


def test_the_header_names_version_and_inputs(tmp_path: Path) -> None:
    header = json.loads((_start(tmp_path / "r").path / "run.json").read_text())
    assert header["inputs"] == {"images": "d"}
    assert header["config"]["steps"] == 10
    assert header["version"]
