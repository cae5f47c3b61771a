"""The corruptions against an independent package, and against what must be true of them."""

from typing import Any

import numpy as np
import pytest

from hzsynth.classify.evaluate.imagenet_c.blur import line_blur, zoomed
from hzsynth.classify.evaluate.imagenet_c.kinds import (
    BENCHMARK,
    GROUPS,
    SEVERITIES,
    SIDE,
    TUNING,
    corrupt,
)
from hzsynth.classify.evaluate.imagenet_c.weather import plasma
from hzsynth.core.errors import InputError
from hzsynth.data.sources.phantom import render_phantom

REPEATABLE = {
    "defocus_blur",
    "zoom_blur",
    "gaussian_blur",
    "brightness",
    "contrast",
    "saturate",
    "pixelate",
    "jpeg_compression",
}
"""Kinds without random numbers: the two implementations agree pixel by pixel."""
SAME_SPREAD = {
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "glass_blur",
    "snow",
}
"""Random kinds: the changes they make have the same mean and spread."""


@pytest.fixture(scope="module")
def photograph() -> Any:
    pixels, _ = render_phantom("herpes_zoster", "western", 3, 0, SIDE)
    return pixels


def test_there_are_75_of_them_and_none_for_tuning_counts() -> None:
    assert len(BENCHMARK) * len(SEVERITIES) == 75
    assert {group: len(kinds) for group, kinds in GROUPS.items()} == {
        "noise": 3,
        "blur": 4,
        "weather": 4,
        "digital": 4,
    }
    assert not set(TUNING) & set(BENCHMARK)


@pytest.mark.parametrize("kind", sorted(REPEATABLE))
def test_kinds_without_chance_are_those_of_another_package(photograph: Any, kind: Any) -> None:
    other = pytest.importorskip("corrupt_tta.corruptions")
    for severity in SEVERITIES:
        ours = corrupt(photograph, kind, severity).astype(int)
        theirs = np.asarray(getattr(other, kind)(photograph.copy(), severity)).astype(int)
        # One rounds to 0..255, the other cuts off.
        assert np.abs(ours - theirs).max() <= 2, severity


@pytest.mark.parametrize("kind", sorted(SAME_SPREAD))
def test_kinds_with_chance_change_a_photograph_as_much_as_another_package_does(
    photograph: Any, kind: Any
) -> None:
    other = pytest.importorskip("corrupt_tta.corruptions")
    state = np.random.get_state()  # noqa: NPY002 (the package draws from it)
    np.random.seed(0)  # noqa: NPY002
    try:
        for severity in SEVERITIES:
            ours = corrupt(photograph, kind, severity).astype(float) - photograph
            theirs = np.asarray(getattr(other, kind)(photograph.copy(), severity)).astype(float)
            theirs -= photograph
            # Flakes and panes differ from draw to draw; noise over 150,000 values hardly does.
            tolerance = 0.2 if kind == "snow" else 0.05
            assert ours.std() == pytest.approx(theirs.std(), rel=tolerance), severity
            assert ours.mean() == pytest.approx(theirs.mean(), abs=5 if kind == "snow" else 1)
    finally:
        np.random.set_state(state)  # noqa: NPY002


@pytest.mark.parametrize("kind", [*BENCHMARK, *TUNING])
def test_every_kind_changes_the_photograph_and_is_repeatable(photograph: Any, kind: Any) -> None:
    for severity in (1, 5):
        first = corrupt(photograph, kind, severity, seed=1, name="a")
        assert first.shape == photograph.shape
        assert first.dtype == np.uint8
        assert np.abs(first.astype(int) - photograph).mean() > 0.2
        np.testing.assert_array_equal(first, corrupt(photograph, kind, severity, seed=1, name="a"))


@pytest.mark.parametrize("kind", ["gaussian_noise", "snow", "fog", "frost", "elastic_transform"])
def test_every_photograph_has_random_numbers_of_its_own(photograph: Any, kind: str) -> None:
    first, second = (corrupt(photograph, kind, 3, name=name) for name in "ab")
    assert (first != second).any()
    assert (first != corrupt(photograph, kind, 3, seed=1, name="a")).any()


@pytest.mark.parametrize("kind", [k for k in BENCHMARK if k != "elastic_transform"])
def test_a_higher_severity_leads_farther_away(photograph: Any, kind: Any) -> None:
    small = photograph[::2, ::2]
    away = [
        np.mean([np.abs(corrupt(small, kind, s, name=n).astype(int) - small).mean() for n in "abc"])
        for s in (1, 5)
    ]
    if kind == "frost":
        # The published strengths dim the photograph as the ice gets thicker.
        kept = [np.corrcoef(corrupt(small, kind, s).ravel(), small.ravel())[0, 1] for s in (1, 5)]
        assert kept[0] > kept[1]
    else:
        assert away[0] < away[1]


def test_a_smear_keeps_the_light_and_goes_one_way() -> None:
    point = np.zeros((41, 41), np.float32)
    point[20, 20] = 1
    smeared = line_blur(point, 8, 4, 0)
    assert smeared.sum() == pytest.approx(1, abs=1e-5)
    assert smeared[20].sum() == pytest.approx(1, abs=1e-5)
    columns = smeared[20]
    assert columns.argmax() == 20
    # Filtering correlates: the weights to the right of a pixel move its light to the left.
    assert columns[21:].sum() == pytest.approx(0, abs=1e-5)
    weights = np.exp(-(np.arange(17) ** 2) / 32)
    np.testing.assert_allclose(columns[20::-1][:17], weights / weights.sum(), atol=1e-6)


def test_an_enlargement_keeps_a_ramp_straight() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    enlarged = zoomed(ramp, 1.2)
    assert enlarged.shape == ramp.shape
    steps = np.diff(enlarged[32])
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-3)
    assert steps.mean() < np.diff(ramp[32]).mean()


def test_a_cloud_fills_its_range_and_is_smoother_with_more_decay() -> None:
    rough, smooth = (plasma(128, decay, np.random.default_rng(0)) for decay in (1.4, 2.5))
    for cloud in (rough, smooth):
        assert cloud.min() == 0
        assert cloud.max() == 1
    assert np.abs(np.diff(smooth)).mean() < np.abs(np.diff(rough)).mean()


def test_an_unknown_kind_or_severity_is_refused(photograph: Any) -> None:
    with pytest.raises(InputError, match="'rain' is not known"):
        corrupt(photograph, "rain", 1)
    with pytest.raises(InputError, match="severity is 1 to 5"):
        corrupt(photograph, "fog", 6)
