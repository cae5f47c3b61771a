"""PixMix by its published definition: weights, varied copies, range."""

import pytest
import torch
from torch.nn import functional

from hzsynth.classify.train.pixmix import mixing_weights, pixmix, plasma, varied_copies


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _images(count: int, side: int = 24) -> torch.Tensor:
    smooth = torch.rand((count, 3, 4, 4), generator=_generator())
    images = functional.interpolate(smooth, size=(side, side), mode="bilinear")
    return (images * 255).round() / 255


def test_half_of_the_weights_are_negative_and_follow_the_published_beta_distributions() -> None:
    own, other = (weights.flatten() for weights in mixing_weights(40_000, _generator()))
    assert torch.equal(own > 1, other < 0)
    assert float((other < 0).float().mean()) == pytest.approx(0.5, abs=0.01)
    # Beta(3, 1) has mean 3/4, Beta(1, 3) has mean 1/4; both have variance 3/80.
    for weights, mean in (
        (own[own <= 1], 0.75),
        (other[other >= 0], 0.25),
        (own[own > 1], 1.25),
        (other[other < 0], -0.25),
    ):
        assert float(weights.mean()) == pytest.approx(mean, abs=0.01)
        assert float(weights.var()) == pytest.approx(3 / 80, abs=0.003)


def test_half_of_the_images_without_a_round_are_varied_copies() -> None:
    images = _images(1000)
    mixed = pixmix(images, _generator())
    assert mixed.min() >= 0
    assert mixed.max() <= 1
    same = (mixed == images).flatten(1).all(dim=1).float().mean()
    # No round has probability 1 / 5; half of those are copies, of which hardly any stay as they are.
    assert 0.08 < same < 0.16


def test_a_varied_copy_is_changed_by_one_gentle_operation() -> None:
    images = _images(300)
    copies = varied_copies(images, _generator())
    assert ((copies - images).abs().flatten(1).amax(1) > 0).float().mean() > 0.7
    # It stays nearer to its own image than to another one.
    own = (copies - images).flatten(1).norm(dim=1)
    other = (copies - images.roll(1, 0)).flatten(1).norm(dim=1)
    assert (own < other).float().mean() > 0.85


def test_every_image_is_mixed_by_draws_of_its_own_and_the_same_way_again() -> None:
    images = _images(1).expand(40, -1, -1, -1)
    mixed = pixmix(images, _generator(1))
    assert len({picture.numpy().tobytes() for picture in mixed}) > 30
    assert torch.equal(mixed, pixmix(images, _generator(1)))
    assert not torch.equal(mixed, pixmix(images, _generator(2)))


def test_plasma_has_a_falling_spectrum() -> None:
    clouds = plasma(8, 64, 64, _generator())
    assert clouds.amin((2, 3)).abs().max() == 0
    assert clouds.amax((2, 3)).min() == 1
    power = torch.fft.rfft2(clouds - clouds.mean((2, 3), keepdim=True)).abs().square().mean((0, 1))
    # Amplitude as 1 / f: four times the frequency has a sixteenth of the power.
    assert 8 < float(power[0, 4] / power[0, 16]) < 32
