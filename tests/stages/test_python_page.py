"""The page on Python is run as it stands: every function of the face, once, at a tiny size."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hzsynth as hz

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.timeout(1500)
PAGE = Path(__file__).parents[2] / "docs" / "python.md"
FUNCTIONS = (
    "ablate",
    "audit",
    "build_dataset",
    "deduplicate",
    "evaluate",
    "generate",
    "kdect",
    "phantom",
    "score",
    "split",
    "train_classifier",
    "train_cyclegan",
    "train_gan",
    "translate",
    "transplant",
)


def snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        patch.setenv("HZSYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))
        for snippet in snippets():
            exec(compile(snippet, str(PAGE), "exec"), names)
        yield names


def test_the_page_uses_every_function() -> None:
    text = "".join(snippets())
    assert [name for name in FUNCTIONS if f"hz.{name}(" not in text] == []


def test_what_the_page_makes_is_there(walked: dict[str, Any]) -> None:
    assert {record.origin for record in walked["generated"]} == {"light"}
    assert len(walked["generated"]) == 24
    assert len(walked["translated"]) == 24
    assert {record.origin for record in walked["transplanted"]} == {"transplant"}
    assert walked["gan"].result["steps"] == 8
    assert walked["translator"].result["steps"] == 4
    assert walked["classifier"].config["steps"] == 4
    assert walked["student"].kind == "kdect"
    assert walked["mixture"].has_splits
    assert Path("evaluation/evaluation.html").is_file()
    assert Path("audit/audit.html").is_file() or any(Path("audit").glob("*.html"))
    assert walked["ablation"].page.is_file()


def test_results_show_themselves(walked: dict[str, Any]) -> None:
    for name in ("gan", "translator", "scores", "audit", "evaluated", "ablation", "generated"):
        html = walked[name]._repr_html_()
        assert html.count("<div") == html.count("</div>")
        assert "object at 0x" not in repr(walked[name])
    for name in ("gan", "audit", "ablation", "generated"):
        assert "data:image/" in walked[name]._repr_html_()
    assert walked["ablation"].verdict in walked["ablation"]._repr_html_()
    assert "kid" in walked["scores"]._repr_html_()
    assert repr(walked["gan"]) == "<generator 'gan': 8 steps>"


def test_the_same_call_again_hands_out_what_is_finished(walked: dict[str, Any]) -> None:
    before = Path("generated/metadata.csv").stat().st_mtime_ns
    again = hz.generate("gan", 24, "generated")
    assert again.digest == walked["generated"].digest
    assert Path("generated/metadata.csv").stat().st_mtime_ns == before
    with pytest.raises(hz.InputError, match="already exists"):
        hz.generate("gan", 25, "generated")


def test_another_setting_is_refused_and_force_starts_anew(walked: dict[str, Any]) -> None:
    tiny = {**walked["tiny"], "kimg": 0.016}
    with pytest.raises(hz.InputError, match="finished"):
        hz.train_gan("split", "gan", label="herpes_zoster", **tiny)
    hz.train_gan("split", "forced", label="herpes_zoster", progress=False, **tiny)
    other = hz.train_gan(
        "split", "forced", label="herpes_zoster", force=True, progress=False, seed=1, **tiny
    )
    assert other.config["seed"] == 1
