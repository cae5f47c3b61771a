"""The typology angle of colours whose CIELAB values are known."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import lab2rgb

from hzsynth.data.skin import skin_mask
from hzsynth.data.skin_tone import (
    TONE_BINS,
    UNCLEAR,
    individual_typology_angle,
    skin_angle,
    skin_tone,
    tone_bin,
)


def _plain(lightness: Any, red: Any, yellow: Any, size: Any = 6) -> Any:
    colour = lab2rgb(np.array([[[lightness, red, yellow]]], dtype=float))[0, 0]
    return np.broadcast_to(np.round(colour * 255).astype(np.uint8), (size, size, 3)).copy()


@given(lightness=st.floats(30, 80), red=st.floats(4, 16), yellow=st.floats(10, 24))
def test_the_angle_of_a_plain_colour_is_the_closed_form(
    lightness: Any, red: Any, yellow: Any
) -> None:
    expected = np.degrees(np.arctan2(lightness - 50, yellow))
    # Rounding to eight bits moves L* and b* by up to about a quarter.
    assert individual_typology_angle(_plain(lightness, red, yellow)) == pytest.approx(
        expected, abs=2.0
    )


def test_only_masked_pixels_count() -> None:
    picture = _plain(70, 10, 16)
    picture[:3] = (0, 0, 255)
    mask = np.ones((6, 6), bool)
    mask[:3] = False
    expected = np.degrees(np.arctan2(20, 16))
    assert individual_typology_angle(picture, mask) == pytest.approx(expected, abs=1)
    assert individual_typology_angle(picture[3:], np.zeros((3, 6), bool)) == pytest.approx(
        expected, abs=1
    )


def test_hair_and_highlights_do_not_matter(rng: np.random.Generator) -> None:
    picture = _plain(66, 11, 17, 20)
    stray = rng.random((20, 20)) < 0.2
    picture[stray] = rng.choice(np.array([[10, 8, 6], [255, 255, 255]], np.uint8), stray.sum())
    expected = np.degrees(np.arctan2(16, 17))
    assert individual_typology_angle(picture) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize(
    ("angle", "name"),
    [
        (-90, "dark"), (-30.1, "dark"), (-29.9, "brown"), (0, "brown"), (10.1, "tan"),
        (27.9, "tan"), (28.1, "intermediate"), (40.9, "intermediate"), (41.1, "light"),
        (54.9, "light"), (55.1, "very light"), (90, "very light"),
    ],
)  # fmt: skip
def test_bins_have_the_published_borders(angle: float, name: str) -> None:
    assert tone_bin(angle) == name
    assert name in TONE_BINS


def test_the_tone_is_that_of_the_skin_and_not_of_the_lesion() -> None:
    skin, sore = (205, 160, 135), (150, 50, 45)
    pixels = np.full((64, 64, 3), skin, np.uint8)
    pixels[10:50, 5:60] = sore
    expected = individual_typology_angle(np.full((4, 4, 3), skin, np.uint8))
    mask = np.zeros((64, 64), bool)
    mask[10:50, 5:60] = True
    assert skin_angle(pixels, mask) == pytest.approx(expected, abs=0.01)
    assert skin_angle(pixels) == pytest.approx(expected, abs=1)


def _on_white(lightness: Any, red: Any, yellow: Any) -> Any:
    """A patch of one colour over most of a white cloth."""
    picture = np.full((48, 48, 3), 250, np.uint8)
    picture[:, :36] = _plain(lightness, red, yellow, 48)[:, :36]
    return picture


@pytest.mark.parametrize(
    ("lightness", "red", "yellow", "name"),
    [(34, 11, 16, "dark"), (46, 12, 17, "brown"), (60, 11, 20, "tan"), (68, 10, 18, "light")],
)
def test_skin_in_fair_light_has_a_tone(lightness: int, red: int, yellow: int, name: str) -> None:
    tone = skin_tone(_on_white(lightness, red, yellow))
    assert tone.reason == ""
    assert tone.angle == pytest.approx(np.degrees(np.arctan2(lightness - 50, yellow)), abs=3)
    assert tone_bin(tone.angle) == name


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (_on_white(45, 35, 16), "inflamed or reddened"),
        (_on_white(44, 17, 13), "inflamed or reddened"),
        (_on_white(55, 18, 42), "coloured light, or no skin"),
        (_on_white(60, 5, 6), "hardly any colour"),
        (_plain(42, 11, 16, 48), "too dark a picture"),
        (np.full((48, 48, 3), (30, 60, 160), np.uint8), "hardly any healthy skin"),
    ],
    ids=["inflamed", "red and dark", "wood", "grey", "underexposed", "cloth"],
)
def test_where_it_is_not_skin_in_fair_light_the_tone_is_not_told(picture: Any, reason: str) -> None:
    tone = skin_tone(picture, np.zeros((48, 48), bool))
    assert tone.reason == reason
    assert np.isnan(tone.angle)
    assert tone_bin(tone.angle) == UNCLEAR


def test_two_surfaces_have_no_common_tone() -> None:
    picture = np.concatenate([_plain(78, 9, 15, 48)[:24], _plain(40, 12, 18, 48)[:24]])
    assert skin_tone(picture, np.zeros((48, 48), bool)).reason == "several surfaces, or deep shadow"


@pytest.mark.parametrize("angle", [-40, -10, 20, 35, 48, 60])
@pytest.mark.parametrize("red", [7, 12, 28])
def test_skin_of_every_tone_passes_for_skin(angle: int, red: int) -> None:
    yellow = 14.0
    lightness = 50 + yellow * np.tan(np.radians(angle))
    assert skin_mask(_plain(lightness, red, yellow)).mean() > 0.4


@pytest.mark.parametrize(
    "colour", [(0, 0, 0), (255, 255, 255), (30, 60, 160), (20, 120, 60), (128, 128, 128)]
)
def test_cloth_and_logos_do_not(colour: tuple[int, int, int]) -> None:
    assert not skin_mask(np.full((8, 8, 3), colour, np.uint8)).any()
