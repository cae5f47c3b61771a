"""Every tone transfer against a closed form or another implementation."""

from typing import Any

import numpy as np
import pytest
from scipy import fft
from skimage.color import lab2rgb, rgb2lab
from skimage.exposure import match_histograms

from hzsynth.cyclegan.baselines import (
    TONE_TRANSFERS,
    exchange_amplitudes,
    fourier,
    histogram_matching,
    reinhard,
    reinhard_skin,
    shades_of_gray,
)
from hzsynth.cyclegan.target import Picture, healthy_skin, measure_target
from hzsynth.data.lesion import lesion_mask

RNG = np.random.default_rng(0)


def skin(
    seed: Any, colour: Any = (200, 150, 125), height: Any = 24, width: Any = 20, noise: Any = 6
) -> Any:
    rng = np.random.default_rng(seed)
    pixels = np.array(colour) + rng.normal(0, noise, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def picture(pixels: Any, lesion: Any = None) -> Any:
    return Picture(pixels, np.zeros(pixels.shape[:2], bool) if lesion is None else lesion)


def with_lesion(seed: Any) -> Any:
    pixels = skin(seed, height=40, width=40)
    lesion = np.zeros((40, 40), bool)
    lesion[10:20, 12:24] = True
    pixels[lesion] = (190, 70, 70)
    return Picture(pixels, lesion)


def test_reinhard_gives_the_target_mean_and_deviation() -> None:
    target = skin(1, (190, 145, 110))
    moved = reinhard(picture(skin(0)), measure_target([target]), RNG).pixels
    wanted, found = rgb2lab(target), rgb2lab(moved)
    np.testing.assert_allclose(found.mean(axis=(0, 1)), wanted.mean(axis=(0, 1)), atol=0.3)
    np.testing.assert_allclose(found.std(axis=(0, 1)), wanted.std(axis=(0, 1)), atol=0.3)


def test_reinhard_equals_the_formula_of_the_paper() -> None:
    source, target = skin(5), skin(6, (185, 140, 108))
    first, second = rgb2lab(source), rgb2lab(target)
    expected = np.empty_like(first)
    for c in range(3):
        a, b = first[..., c], second[..., c]
        expected[..., c] = b.std() / a.std() * (a - a.mean()) + b.mean()
    found = reinhard(picture(source), measure_target([target]), RNG).pixels
    assert np.abs(found / 255 - lab2rgb(expected)).max() <= 0.51 / 255


def test_skin_reinhard_measures_healthy_skin_only_and_leaves_the_background() -> None:
    source = with_lesion(0)
    source.pixels[:, 30:] = (20, 40, 200)
    target = skin(1, (185, 140, 105), 40, 40)
    moved = reinhard_skin(source, measure_target([target]), RNG).pixels
    region = healthy_skin(source.pixels, source.lesion)
    assert not region[:, 30:].any()
    assert not region[source.lesion].any()
    # The redness prior takes the reddest noise of an even target for a lesion.
    wanted = rgb2lab(target)[healthy_skin(target, lesion_mask(target))]
    found = rgb2lab(moved)[region]
    np.testing.assert_allclose(found.mean(axis=0), wanted.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(found.std(axis=0), wanted.std(axis=0), atol=0.3)
    assert np.array_equal(moved[:, 33:], source.pixels[:, 33:])
    # The lesion goes through the same map as the skin: its contrast changes by the ratio.
    ratio = wanted.std(axis=0) / rgb2lab(source.pixels)[region].std(axis=0)
    before, after = (
        rgb2lab(p)[source.lesion].mean(axis=0) - rgb2lab(p)[region].mean(axis=0)
        for p in (source.pixels, moved)
    )
    np.testing.assert_allclose(after, before * ratio, atol=0.8)


def test_whole_reinhard_is_misled_by_a_background_and_the_skin_one_is_not() -> None:
    source = picture(skin(3, height=40, width=40))
    source.pixels[:, :24] = (15, 20, 30)
    target = measure_target([skin(4, (185, 140, 105), 40, 40)])
    wrong, right = (
        np.abs(rgb2lab(f(source, target, RNG).pixels)[:, 28:].mean(axis=(0, 1)) - target.mean).max()
        for f in (reinhard, reinhard_skin)
    )
    assert right < 1 < wrong


def test_histogram_matching_equals_scikit_image() -> None:
    pixels, target = skin(2), skin(3, (190, 145, 110))
    expected = lab2rgb(match_histograms(rgb2lab(pixels), rgb2lab(target), channel_axis=-1)) * 255
    found = histogram_matching(picture(pixels), measure_target([target]), RNG).pixels
    assert np.abs(found - expected).mean() < 1.0


def test_shades_of_gray_moves_a_grey_card_to_the_targets_light() -> None:
    card, target = np.full((8, 8, 3), 100, np.uint8), np.full((8, 8, 3), 0, np.uint8)
    target[:] = (120, 100, 80)
    moved = shades_of_gray(picture(card), measure_target([target]), RNG).pixels
    ratio = moved[0, 0] / moved[0, 0, 1]
    np.testing.assert_allclose(ratio, (1.2, 1.0, 0.8), atol=0.02)


def test_shades_of_gray_equals_the_minkowski_formula() -> None:
    source, target = skin(7, (210, 150, 110)), skin(8, (180, 150, 130))
    lights = []
    for image in (source, target):
        values = np.array([((image[..., c] / 255.0) ** 6).mean() ** (1 / 6) for c in range(3)])
        lights.append(values / np.sqrt((values**2).sum()))
    expected = np.clip(source * lights[1] / lights[0], 0, 255)
    found = shades_of_gray(picture(source), measure_target([target]), RNG).pixels
    assert np.abs(found - expected).max() <= 0.51


@pytest.mark.parametrize("beta", [0.01, 0.05, 0.09])
@pytest.mark.parametrize("shape", [(64, 64), (61, 90)])
def test_fourier_adaptation_equals_a_shifted_spectrum(beta: float, shape: tuple[int, int]) -> None:
    source, reference = skin(1, (200, 150, 130), *shape), skin(2, (170, 120, 90), *shape)
    height, width = shape
    reach = int(np.floor(min(shape) * beta))
    middle = height // 2, width // 2
    expected = np.empty((*shape, 3))
    for c in range(3):
        own = fft.fftshift(fft.fft2(source[..., c].astype(float)))
        other = fft.fftshift(fft.fft2(reference[..., c].astype(float)))
        amplitude = np.abs(own)
        rows = slice(middle[0] - reach, middle[0] + reach + 1)
        columns = slice(middle[1] - reach, middle[1] + reach + 1)
        amplitude[rows, columns] = np.abs(other)[rows, columns]
        spectrum = amplitude * np.exp(1j * np.angle(own))
        expected[..., c] = fft.ifft2(fft.ifftshift(spectrum)).real
    np.testing.assert_allclose(exchange_amplitudes(source, reference, beta), expected, atol=1e-8)


def test_fourier_adaptation_without_reach_moves_the_mean_and_nothing_else() -> None:
    source, reference = skin(1, (200, 150, 130)), skin(2, (170, 120, 90))
    changed = exchange_amplitudes(source, reference, 0.0)
    shift = reference.mean(axis=(0, 1)) - source.mean(axis=(0, 1))
    np.testing.assert_allclose(changed, source + shift, atol=1e-9)


def test_the_photograph_of_fourier_adaptation_follows_from_the_draws() -> None:
    target = measure_target([skin(i, (140 + 12 * i, 120, 100), 16, 30) for i in range(5)])
    source = picture(skin(9, height=40, width=40))
    first, again, other = (
        fourier(source, target, np.random.default_rng(seed), beta=0.05).pixels for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("name", "transfer"), TONE_TRANSFERS)
def test_an_image_of_the_target_stays_nearly_alone_and_lesions_stay_in_place(
    name: Any, transfer: Any
) -> None:
    source = with_lesion(4)
    kept = transfer(source, measure_target([source.pixels]), np.random.default_rng(1))
    assert kept.pixels.dtype == np.uint8
    assert np.abs(kept.pixels.astype(int) - source.pixels).mean() < 2.0
    assert np.array_equal(kept.lesion, source.lesion)
