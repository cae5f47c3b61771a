from pathlib import Path

import pytest

from hzsynth.core.config import Config
from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir
from hzsynth.core.tracking import open_tracker


def test_metrics_are_mirrored_to_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    with RunDir.start(tmp_path / "run", "gan", Config(), {}) as run:
        run.mirror_metrics(open_tracker("tensorboard", run.path))
        run.log(3, loss=0.25, remark="text is left out")
    (events,) = (run.path / "tensorboard").glob("events.out*")
    data = events.read_bytes()
    assert b"loss" in data
    assert b"remark" not in data
    assert run.metrics() == [{"step": 3, "loss": 0.25, "remark": "text is left out"}]


def test_other_trackers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none, tensorboard, not 'wandb'"):
        open_tracker("wandb", tmp_path)
    open_tracker("none", tmp_path).log(1, {"loss": 0.5})
    assert list(tmp_path.iterdir()) == []
