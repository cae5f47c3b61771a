from typing import Any

import cv2
import numpy as np
import pytest

from hzsynth.classify.deploy.image_quality import PROBLEMS, measure_quality
from hzsynth.data.sources.phantom import render_phantom

SIZE = 96


@pytest.fixture(scope="module")
def photograph() -> Any:
    return render_phantom("herpes_zoster", "korean", 3, 3, 256)[0]


def problems(pixels: Any, size: Any = SIZE) -> Any:
    return measure_quality(pixels, size).problems


def test_a_good_photograph_has_no_problem(photograph: Any) -> None:
    quality = measure_quality(photograph, SIZE)
    assert quality.problems == ()
    assert (quality.width, quality.height) == (256, 256)
    assert quality.skin_share > 0.5


def test_out_of_focus(photograph: Any) -> None:
    assert problems(cv2.GaussianBlur(photograph, (0, 0), 8)) == ("blurred",)


def test_too_dark(photograph: Any) -> None:
    assert "too_dark" in problems((photograph * 0.12).astype(np.uint8))


def test_half_in_shadow(photograph: Any) -> None:
    shaded = photograph.copy()
    shaded[:150] = shaded[:150] // 30
    assert "too_dark" in problems(shaded)


def test_too_bright(photograph: Any) -> None:
    bright = np.clip(photograph.astype(int) * 2 + 90, 0, 255).astype(np.uint8)
    assert "too_bright" in problems(bright)


def test_a_photograph_that_had_to_be_enlarged(photograph: Any) -> None:
    assert "too_small" not in problems(photograph, 256)
    assert "too_small" in problems(photograph, 257)


def test_no_skin() -> None:
    rng = np.random.default_rng(0)
    meadow = np.full((200, 200, 3), (40, 140, 70)) + rng.normal(0, 12, (200, 200, 1))
    assert "little_skin" in problems(meadow.clip(0, 255).astype(np.uint8))


def test_a_caption_strip_is_an_annotation(photograph: Any) -> None:
    captioned = np.concatenate([photograph, np.zeros((56, 256, 3), np.uint8)])
    quality = measure_quality(captioned, SIZE)
    assert "annotated" in quality.problems
    assert "banner" in quality.annotations


def test_problems_come_in_their_order() -> None:
    black = np.zeros((20, 20, 3), np.uint8)
    found = problems(black)
    assert {"too_dark", "too_small", "little_skin"} <= set(found)
    assert list(found) == [name for name in PROBLEMS if name in found]
