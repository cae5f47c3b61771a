import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hzsynth.classify.evaluate import robustness
from hzsynth.classify.evaluate.imagenet_c.kinds import BENCHMARK, GROUPS, TUNING, corrupt
from hzsynth.classify.evaluate.robustness import corrupted, measure_robustness
from hzsynth.classify.evaluate.robustness_page import write_robustness
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_set import ImageSet
from tests.classify.conftest import saved_run

KINDS = ("gaussian_noise", "contrast")


@pytest.fixture
def pair(photographs: ImageSet, tmp_path: Path) -> Any:
    good = saved_run(tmp_path / "good", photographs)
    noisy = saved_run(tmp_path / "noisy", photographs, noise=0.6)
    return noisy, good


def measured(runs: Any, images: Any, **options: Any) -> Any:
    return measure_robustness(runs, images, workers=1, bootstrap=100, **options)


def planted(*wrong: Any) -> Any:
    """Stands for asking: each classifier errs on these photographs, whatever the corruption."""

    def chosen(classifiers: Any, labels: Any, versions: Any, compute: Any, task: Any) -> Any:
        assert len(list(versions)) == 6
        truth = np.repeat([0, 1], 3)
        answers = [np.where(np.isin(np.arange(6), places), 1 - truth, truth) for places in wrong]
        return [np.tile(rows[:, None], 75) for rows in answers]

    return chosen


def test_errors_ce_and_mce_follow_from_the_answers(
    pair: Any, photographs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers are planted, so that every figure has a closed form."""
    # Of 6 photographs, classes 0 0 0 1 1 1: the reference errs on the first three.
    monkeypatch.setattr(robustness, "_chosen", planted([0, 1, 2], [0]))
    result = measured(pair, photographs)
    first, second = result.runs
    assert first.mean_error.value == pytest.approx(3 / 6)
    assert second.mean_error.value == pytest.approx(1 / 6)
    assert set(first.errors) == set(BENCHMARK)
    assert second.errors["fog"] == pytest.approx((1 / 6,) * 5)
    assert second.group_errors == pytest.approx(dict.fromkeys(GROUPS, 1 / 6))
    # One of three eczema is called zoster: precision 3/4, recall 1.
    assert second.mean_f1_target == pytest.approx(6 / 7)
    (against,) = result.against
    assert against.corruption_errors["snow"] == pytest.approx(100 / 3)
    assert against.mce.value == pytest.approx(100 / 3)
    assert against.mce.low <= against.mce.value <= against.mce.high
    assert against.mce_without_noise.value == pytest.approx(100 / 3)


def test_a_reference_without_errors_defines_no_ce(
    pair: Any, photographs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robustness, "_chosen", planted([], []))
    result = measured(pair, photographs)
    assert result.against[0].mce is None
    assert result.against[0].corruption_errors["snow"] is None


def test_the_whole_way_with_pages_and_tuning_kinds(
    pair: Any, photographs: ImageSet, tmp_path: Path
) -> None:
    result = measured(pair, photographs, tuning=True)
    assert set(result.runs[0].tuning) == set(TUNING)
    assert 0 <= result.runs[1].mean_error.value <= 1
    assert result.runs[1].clean_error == 0
    page = write_robustness(result, ["plain", "robust"], tmp_path / "out")
    text = page.read_text("utf-8")
    assert "mCE" in text
    assert "plain" in text
    stored = json.loads((page.parent / "robustness.json").read_text("utf-8"))
    assert stored["runs"][1]["mean_error"]["value"] == result.runs[1].mean_error.value
    table = (page.parent / "errors.csv").read_text("utf-8").splitlines()
    assert len(table) == 1 + 2 * 75
    with Image.open(page.parent / "errors_1.png") as picture:
        assert picture.width > 300


def test_kept_photographs_are_used_again_and_damaged_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (224, 224, 3), np.uint8)
    first = corrupted(("a", pixels), KINDS, 0, str(tmp_path))
    (file,) = tmp_path.iterdir()
    calls = []
    real = corrupt

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments[1])
        return real(*arguments, **options)

    monkeypatch.setattr(robustness, "corrupt", counted)
    np.testing.assert_array_equal(corrupted(("a", pixels), KINDS, 0, str(tmp_path)), first)
    assert not calls
    file.write_bytes(file.read_bytes()[:1000])
    np.testing.assert_array_equal(corrupted(("a", pixels), KINDS, 0, str(tmp_path)), first)
    assert len(calls) == 10
    # Another seed or other pixels under the same name are other photographs.
    corrupted(("a", pixels), KINDS, 1, str(tmp_path))
    corrupted(("a", 255 - pixels), KINDS, 0, str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 3


def test_photographs_that_were_learned_from_are_refused(
    photographs: ImageSet, tmp_path: Path
) -> None:
    run = saved_run(tmp_path / "run", photographs, learned=photographs.select("test"))
    with pytest.raises(RefusedError):
        measured([run], photographs)
    with pytest.raises(InputError, match="at least one RUN"):
        measured([], photographs)
