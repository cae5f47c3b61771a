"""Every example in a docstring of the package is run."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in (ROOT / "hzsynth").rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8")
)


def test_there_are_examples() -> None:
    assert "hzsynth.stages.python.sets" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name: str, tmp_path: Path) -> None:
    module = importlib.import_module(name)
    tests = [t for t in doctest.DocTestFinder().find(module) if t.examples]
    assert tests
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    with pytest.MonkeyPatch.context() as patch:
        for number, test in enumerate(tests):
            folder = tmp_path / str(number)
            folder.mkdir()
            patch.chdir(folder)
            assert runner.run(test).failed == 0
