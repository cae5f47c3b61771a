"""The example notebook is executed, cell by cell, at its smallest."""

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).parents[2] / "examples" / "walk.ipynb"


@pytest.mark.timeout(1500)
def test_the_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HZSYNTH_WALK", "smallest")
    monkeypatch.setenv("HZSYNTH_CACHE", str(tmp_path / "cache"))
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
    assert names["ablation"].page.is_file()
    assert len(names["generated"]) == 24
    assert len(names["photographs"]) == len(names["distinct"]) + 2
