"""The settings of trainings: quick to read, complete for a command to be built from."""

import subprocess
import sys

import pytest
from pydantic.fields import FieldInfo

from hzsynth.classify.deploy.config import ExportConfig
from hzsynth.classify.train.config import ClassifyConfig, ContinueConfig, KdectConfig
from hzsynth.core.config import Config

CONFIGS = (ClassifyConfig, ContinueConfig, ExportConfig, KdectConfig)


@pytest.mark.parametrize("room", ["train", "deploy"])
def test_settings_are_read_without_torch(room: str) -> None:
    code = f"import sys, hzsynth.classify.{room}.config; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("config", CONFIGS)
def test_every_setting_says_what_it_is(config: type[Config]) -> None:
    fields: dict[str, FieldInfo] = config.model_fields
    assert [name for name, field in fields.items() if not field.description] == []
    unbounded = [
        name
        for name, field in fields.items()
        if field.annotation in (int, float) and not field.metadata
    ]
    assert unbounded == []
