"""Membranes and blends against closed forms, the linear system and OpenCV."""

from typing import Any

import cv2
import numpy as np
import pytest

from hzsynth.cyclegan import poisson
from hzsynth.cyclegan.poisson import blend, harmonic


def none_of(mask: Any) -> Any:
    return np.zeros_like(mask)


def disc(size: Any, radius: Any, centre: Any = None) -> Any:
    y, x = np.indices((size, size))
    row, column = centre or (size / 2, size / 2)
    return (y - row) ** 2 + (x - column) ** 2 < radius**2


@pytest.mark.parametrize("size", [24, 200])
def test_a_plane_and_a_saddle_continue_themselves(size: int) -> None:
    # Both are harmonic also on a grid: the second differences cancel exactly.
    y, x = np.indices((size, size)) / size
    given = np.stack([3 * x - 2 * y + 1, x * x - y * y], axis=-1) * 100
    inside = disc(size, size / 3)
    hidden = np.where(inside[..., None], -500.0, given)
    np.testing.assert_allclose(harmonic(hidden, inside, none_of(inside)), given, atol=1e-8)


def test_many_levels_equal_the_linear_system(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    given = np.asarray(cv2.GaussianBlur(rng.normal(0, 60, (180, 230, 3)), (0, 0), 2.0), float) * 5
    inside = disc(180, 60, (70, 60)) | disc(180, 30, (100, 120))
    inside = np.pad(inside, ((0, 0), (0, 50)))
    expected = harmonic(given, inside, none_of(inside))
    monkeypatch.setattr(poisson, "_EXACT", 600)
    difference = np.abs(harmonic(given, inside, none_of(inside)) - expected)
    assert 0 < difference.max() < 0.01 * np.ptp(given)


def test_a_region_that_leaves_the_picture_has_a_free_border() -> None:
    given = np.zeros((40, 20, 1))
    given[20:] = np.arange(20.0)[:, None, None] - 19
    inside = np.zeros((40, 20), bool)
    inside[:20] = True
    filled = harmonic(given, inside, none_of(inside))
    # Nothing holds the upper border: the row below continues without a slope.
    np.testing.assert_allclose(filled[:20], -19.0, atol=1e-6)


@pytest.mark.parametrize("exact", [100_000, 100])
def test_a_backdrop_beside_the_region_does_not_bleed_into_it(
    monkeypatch: pytest.MonkeyPatch, exact: int
) -> None:
    monkeypatch.setattr(poisson, "_EXACT", exact)
    host = np.full((60, 60, 3), 150, np.uint8)
    backdrop = np.zeros((60, 60), bool)
    backdrop[:, 40:] = True
    host[backdrop] = (10, 20, 200)
    region = disc(60, 16, (30, 32)) & ~backdrop
    patch = np.full((60, 60, 3), 120.0)
    bled, kept = blend(patch, host, region), blend(patch, host, region, backdrop)
    assert np.array_equal(kept, host)
    assert np.abs(bled.astype(int) - host)[region].max() > 20


def test_a_part_that_touches_nothing_given_becomes_zero() -> None:
    values = np.full((20, 20, 1), 9.0)
    inside, free = disc(20, 4), ~disc(20, 4)
    assert np.array_equal(harmonic(values, inside, free)[inside], np.zeros((inside.sum(), 1)))


def test_a_patch_of_the_host_itself_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    host = rng.integers(0, 256, (90, 90, 3), dtype=np.uint8)
    assert np.array_equal(blend(host.astype(float), host, disc(90, 35)), host)


def test_a_patch_in_another_light_takes_on_the_hosts() -> None:
    rng = np.random.default_rng(2)
    host = rng.integers(90, 160, (80, 80, 3), dtype=np.uint8)
    brighter = host + np.array([40.0, 20.0, -10.0])
    blended = blend(brighter, host, disc(80, 30))
    assert np.abs(blended.astype(int) - host).max() <= 1


def test_a_blend_equals_that_of_opencv() -> None:
    rng = np.random.default_rng(3)
    smooth = [cv2.GaussianBlur(rng.uniform(0, 255, (120, 120, 3)), (0, 0), 6.0) for _ in range(2)]
    host, patch = (np.clip(100 + 3 * (s - 127), 0, 255).astype(np.uint8) for s in smooth)
    region = disc(120, 34)
    # OpenCV shrinks a mask by three pixels first.
    grown = cv2.dilate(region.astype(np.uint8), np.ones((3, 3)), iterations=3) * 255
    y, x = np.nonzero(grown)
    centre = (int(x.min() + x.max() + 1) // 2, int(y.min() + y.max() + 1) // 2)
    theirs = cv2.seamlessClone(patch, host, grown, centre, cv2.NORMAL_CLONE)
    ours = blend(patch.astype(float), host, region)
    assert np.abs(ours.astype(int) - theirs)[region].mean() < 3.0
    assert np.abs(patch.astype(int) - theirs)[region].mean() > 6.0


def test_a_patch_over_everything_is_refused() -> None:
    host = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="whole host"):
        blend(host.astype(float), host, np.ones((8, 8), bool))
