"""The colour start: closed forms of the transport, and domains whose map is known."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from skimage.color import lab2rgb

from hzsynth.cyclegan.colour import ColourChange, apply_change
from hzsynth.cyclegan.colour_start import (
    ToneMap,
    colour_start,
    skin_colours,
    tone_loss,
    transported,
    with_shifts,
)
from hzsynth.cyclegan.domains import Domain


def normal(seed: Any, count: Any, mean: Any, spread: Any) -> Any:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 3)) @ np.array(spread) + mean


WIDE = [[0.3, 0.1, 0.0], [0.0, 0.2, 0.1], [0.05, 0.0, 0.25]]
NARROW = [[0.1, 0.0, 0.02], [0.0, 0.15, 0.0], [0.0, 0.05, 0.1]]


def test_transported_colours_have_the_wanted_mean_and_covariance() -> None:
    own, wanted = normal(0, 400, 0.5, WIDE), normal(1, 300, -0.2, NARROW)
    moved = transported(own, wanted)
    np.testing.assert_allclose(moved.mean(axis=0), wanted.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(np.cov(moved, rowvar=False), np.cov(wanted, rowvar=False), atol=5e-4)


def test_the_cost_is_that_of_the_optimal_transport() -> None:
    # Squared Wasserstein-2 distance of two normal distributions (Dowson & Landau 1982).
    own, wanted = normal(2, 5000, 0.5, WIDE), normal(3, 5000, 0.1, NARROW)
    cost = ((transported(own, wanted) - own) ** 2).sum(axis=1).mean()
    first, second = (np.cov(v, rowvar=False) for v in (own, wanted))
    root = sqrtm(first)
    cross = np.trace(sqrtm(root @ second @ root).real)
    between = ((own.mean(axis=0) - wanted.mean(axis=0)) ** 2).sum()
    assert cost == pytest.approx(between + np.trace(first + second) - 2 * cross, rel=0.01)


def test_few_photographs_are_only_shifted() -> None:
    own, wanted = normal(4, 9, 0.5, WIDE), normal(5, 50, 0.0, NARROW)
    moved = transported(own, wanted)
    np.testing.assert_allclose(moved - own, np.broadcast_to(moved[0] - own[0], own.shape))


def skins(seed: int, count: int, lightness: tuple[float, float], size: int = 32) -> Any:
    """Photographs of plain skin of varying lightness, each with a red lesion."""
    rng = np.random.default_rng(seed)
    pixels, masks = [], []
    for value in rng.normal(*lightness, count):
        lab = np.array([value, 12.0, 18.0]) + rng.normal(0, 0.5, (size, size, 3))
        mask = np.zeros((size, size), bool)
        mask[12:18, 12:18] = True
        lab[mask, 1] += 20
        pixels.append(np.clip(np.rint(lab2rgb(lab) * 255), 0, 255).astype(np.uint8))
        masks.append(mask)
    stacked = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
    return Domain(stacked, torch.from_numpy(np.stack(masks))[:, None])


def changed(domain: Any, start: Any) -> Any:
    network = ColourChange()
    with torch.no_grad():
        for parameter in network.last.parameters():
            parameter.zero_()
        network.start_at(start.weight, start.bias)
        images = domain.pixels.float() / 127.5 - 1
        result = apply_change(images, network(images))
    return Domain(((result + 1) * 127.5).round().to(torch.uint8), domain.masks)


def test_the_start_maps_one_population_onto_another() -> None:
    fair, dark = skins(0, 60, (72, 6)), skins(1, 60, (58, 3))
    moved, wanted = (
        skin_colours(changed(fair, colour_start(with_shifts(fair, dark)[0]))),
        skin_colours(dark),
    )
    before = skin_colours(fair)
    np.testing.assert_allclose(moved.mean(axis=0), wanted.mean(axis=0), atol=0.02)
    assert np.all(before.std(axis=0) > 1.5 * wanted.std(axis=0))
    np.testing.assert_allclose(moved.std(axis=0), wanted.std(axis=0), rtol=0.25)


def test_equal_populations_stay_as_they_are() -> None:
    domain = skins(2, 20, (65, 5))
    moved = changed(domain, colour_start(with_shifts(domain, domain)[0]))
    assert (moved.pixels.int() - domain.pixels.int()).abs().max() <= 1


def test_the_tone_loss_is_the_missing_shift_around_the_lesion() -> None:
    domain = skins(3, 2, (65, 0))
    images, masks = domain.pixels.float() / 127.5 - 1, domain.masks.float()
    shift = torch.tensor([[-0.3, 0.1, 0.0]])
    moved = apply_change(images, shift[..., None, None].expand_as(images))
    assert tone_loss(images, moved, masks, shift.expand(2, 3)) < 1e-4
    missing = tone_loss(images, moved, masks, torch.zeros(2, 3))
    assert missing == pytest.approx(0.4 / 3, abs=1e-4)
    # What happens inside the lesion does not count.
    inside = torch.where(masks > 0, -images, moved)
    assert tone_loss(images, inside, masks, shift.expand(2, 3)) < 1e-4
    # Without a lesion the whole image does.
    half = moved.clone()
    half[..., :16] = images[..., :16]
    without = tone_loss(images, half, torch.zeros_like(masks), torch.zeros(2, 3))
    assert without == pytest.approx(0.2 / 3, abs=1e-4)


def test_the_tone_map_is_the_start_of_a_generator() -> None:
    fair = with_shifts(skins(0, 12, (72, 6)), skins(1, 12, (58, 3)))[0]
    images = fair.pixels.float() / 127.5 - 1
    mapped = ((ToneMap.between(fair)(images) + 1) * 127.5).round().to(torch.uint8)
    assert torch.equal(mapped, changed(fair, colour_start(fair)).pixels)
    assert torch.equal(ToneMap.between(fair).harmonise(images), images)
