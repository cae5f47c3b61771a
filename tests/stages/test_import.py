"""`import hzsynth` is light, and its functions are found whatever was imported before."""

import subprocess
import sys
from pathlib import Path

import pytest

import hzsynth as hz
from hzsynth import score as score_function


def _python(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_loads_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "pandas", "PIL", "pydantic", "hzsynth.core")
    _python(f"import sys, hzsynth; assert not [m for m in {heavy!r} if m in sys.modules]")


def test_a_function_is_found_although_a_room_has_its_name() -> None:
    _python(
        "import hzsynth, hzsynth.score, hzsynth.audit, hzsynth.ablate; "
        "assert callable(hzsynth.score) and callable(hzsynth.audit) and callable(hzsynth.ablate); "
        "from hzsynth import score; assert score is hzsynth.score; "
        "import hzsynth.score.config; assert score is hzsynth.score"
    )
    assert callable(score_function)


def test_every_name_is_listed_and_there() -> None:
    assert set(hz.__all__) <= set(dir(hz))
    for name in hz.__all__:
        assert getattr(hz, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian_gan'"):
        hz.trian_gan  # type: ignore[attr-defined]  # noqa: B018


def test_a_wrong_setting_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(hz.InputError, match=r"'sise'; allowed are .*size"):
        hz.phantom(tmp_path / "set", sise=16)
