import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hzsynth.classify.evaluate.evaluation import evaluate
from hzsynth.classify.evaluate.evaluation_page import short_metrics, write_evaluation
from hzsynth.classify.evaluate.evaluation_plots import _precision, _roc
from hzsynth.core.image_set_writer import ImageSetWriter
from tests.classify.conftest import add_photographs, saved_run


@pytest.fixture
def enough(tmp_path: Path) -> Any:
    with ImageSetWriter(tmp_path / "enough") as writer:
        add_photographs(writer, {"train": 6, "val": 8, "test": 12})
    return writer.images


def test_everything_is_on_the_page(enough: Any, tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", enough, noise=0.8)
    evaluation = evaluate(run, enough, by=["origin"], sensitivity=0.8, bootstrap=100)
    page = write_evaluation(evaluation, run, tmp_path / "out")
    text = page.read_text("utf-8")
    for words in (
        "Recommended levels",
        "Operating point",
        "By origin",
        "Matthews correlation",
        "bins of the confidence",
    ):
        assert words in text, words
    assert "http" not in text.replace("http://www.w3.org", "")
    for name in ("confusion", "roc", "precision_recall", "reliability"):
        with Image.open(page.parent / f"{name}.png") as picture:
            assert picture.width > 300
    stored = json.loads((page.parent / "evaluation.json").read_text("utf-8"))
    assert set(stored["per_class"]) == {"eczema", "zoster"}
    # The target's F1 is the same figure in both places.
    assert stored["per_class"]["zoster"]["f1"]["value"] == stored["metrics"]["f1_target"]["value"]
    shown = short_metrics(evaluation)
    assert shown["test, photographs"] == "24"
    assert any(key.startswith("threshold for sensitivity 0.8") for key in shown)


def test_the_roc_of_a_perfect_score_goes_by_the_corner() -> None:
    positive = np.array([True, True, False, False])
    curve = _roc(positive, np.array([4.0, 3.0, 2.0, 1.0]), np.ones((1, 4)))[0]
    assert (curve[1:] == 1).all()
    reversed_curve = _roc(positive, np.array([1.0, 2.0, 3.0, 4.0]), np.ones((1, 4)))[0]
    assert (reversed_curve[:-1] == 0).all()


def test_precision_at_each_recall_is_that_of_the_first_threshold_that_reaches_it() -> None:
    positive = np.array([True, False, True, False])
    curve = _precision(positive, np.array([4.0, 3.0, 2.0, 1.0]), np.ones((1, 4)))[0]
    # Recall .5 at the first photograph (precision 1), recall 1 at the third (2 of 3).
    assert curve[0] == curve[100] == 1
    assert curve[101] == curve[200] == pytest.approx(2 / 3)
