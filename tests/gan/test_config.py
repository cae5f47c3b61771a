import subprocess
import sys

import pytest

from hzsynth.core.errors import InputError
from hzsynth.gan.config import GanConfig, ProjectionConfig


def test_settings_are_read_without_torch() -> None:
    code = "import sys, hzsynth.gan.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("config", [GanConfig, ProjectionConfig])
def test_every_setting_says_what_it_is(config: type[GanConfig] | type[ProjectionConfig]) -> None:
    assert [name for name, field in config.model_fields.items() if not field.description] == []


def test_a_resolution_may_come_as_text() -> None:
    assert GanConfig.from_sources(None, {"resolution": "128"}).resolution == 128
    with pytest.raises(InputError, match="1024"):
        GanConfig.from_sources(None, {"resolution": "48"})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"backend": "stylegan2-pytorch", "generator": "light"}, "its own `generator`"),
        ({"backend": "stylegan2-pytorch", "r1_gamma": 0.0}, "its own penalties"),
        ({"backend": "stylegan2-pytorch", "conditional": True}, "no class-conditional"),
        ({"backend": "stylegan2-pytorch", "init": "a-run", "freeze_d": 1}, "no `freeze_d`"),
        ({"path_length_weight": 2.0}, "`path_length_weight` needs `generator` stylegan2"),
        ({"init": "a-run", "freeze_d": 1}, "`freeze_d` needs `discriminator` stylegan2"),
        ({"preset": "huge"}, "preset"),
        ({"backend": "another"}, "backend"),
    ],
)
def test_what_a_backend_cannot_do_is_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        GanConfig.from_sources(None, settings)
