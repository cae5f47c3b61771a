"""Lesion masks against discs that were drawn, and against the phantom's own masks."""

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.color import lab2rgb

from hzsynth.data.lesion import lesion_mask, redness
from hzsynth.data.sources.phantom import render_phantom


def _scene(extra: Any, light: Any = 0.0, size: Any = 96) -> Any:
    """Skin with a disc of `extra` a*, noise, and light that changes a* across the picture."""
    y, x = np.mgrid[:size, :size]
    disc = (x - 40) ** 2 + (y - 55) ** 2 < 15**2
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(size, size)), 1) * 1.5
    red = 11 + extra * disc + light * x / size + noise
    lab = np.stack([66 - 0.3 * extra * disc, red, np.full(red.shape, 17.0)], axis=-1)
    return np.round(lab2rgb(lab) * 255).astype(np.uint8), disc


def _overlap(first: Any, second: Any) -> Any:
    return (first & second).sum() / max(1, (first | second).sum())


@pytest.mark.parametrize("light", [0.0, 8.0])
@pytest.mark.parametrize("extra", [9.0, 20.0])
def test_a_red_disc_is_found_in_any_light(extra: float, light: float) -> None:
    pixels, disc = _scene(extra, light)
    assert _overlap(lesion_mask(pixels), disc) > 0.8


@pytest.mark.parametrize("light", [0.0, 5.0])
def test_plain_skin_has_no_lesion(light: float) -> None:
    assert not lesion_mask(_scene(0.0, light)[0]).any()


def test_a_disc_at_the_border_reaches_the_border() -> None:
    pixels, _ = _scene(15.0)
    cut = pixels[:, 30:]
    assert lesion_mask(cut)[50:60, :3].mean() > 0.5


@pytest.mark.parametrize("colour", [(20, 60, 160), (255, 255, 255)])
def test_a_picture_without_skin(colour: tuple[int, int, int]) -> None:
    assert not lesion_mask(np.full((32, 32, 3), colour, np.uint8)).any()


def test_flipping_the_picture_flips_the_mask() -> None:
    pixels, _ = _scene(15.0)
    mirrored = lesion_mask(np.ascontiguousarray(pixels[:, ::-1]))
    assert _overlap(mirrored[:, ::-1], lesion_mask(pixels)) > 0.95


def test_redness_is_a_star() -> None:
    colour = np.round(lab2rgb(np.array([[[60.0, 22.0, 18.0]]])) * 255).astype(np.uint8)
    assert redness(np.tile(colour, (16, 16, 1))) == pytest.approx(22, abs=0.5)


def test_the_masks_of_phantoms_are_found() -> None:
    pairs = [render_phantom("herpes_zoster", "western", p, 0, 96) for p in range(16)]
    overlaps = [_overlap(lesion_mask(pixels), mask) for pixels, mask in pairs]
    assert np.median(overlaps) > 0.5
    normal = [lesion_mask(render_phantom("normal", "western", p, 0, 96)[0]) for p in range(10)]
    assert np.mean([mask.mean() for mask in normal]) < 0.1
