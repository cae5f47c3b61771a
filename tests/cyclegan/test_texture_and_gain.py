"""Texture that a map of colours cannot change, and differences between methods with their error."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from hzsynth.cyclegan.floors import patch_floor, tone_floor
from hzsynth.cyclegan.measures import SkinColour, colour_distances, explained_by_colours
from hzsynth.cyclegan.paired_distance import gain_over
from hzsynth.cyclegan.skin_patches import Described
from hzsynth.cyclegan.texture import texture_features


def grain(seed: Any, count: Any = 8, width: Any = 0.8, side: Any = 32) -> Any:
    """Skin of one tone with grain of a size, uint8 N x 3 x S x S."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(0, 1, (count, side, side)), (0, width, width))
    noise = noise / noise.std() * 8
    pixels = np.array([205.0, 165.0, 140.0])[None, :, None, None] + noise[:, None]
    return torch.from_numpy(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def test_texture_sees_grain_and_sharpness_but_no_tone() -> None:
    fine = grain(0)
    darker = (fine.float() - torch.tensor([25.0, 22.0, 20.0])[:, None, None]).to(torch.uint8)
    blurred = gaussian_filter(fine.numpy(), (0, 0, 1.2, 1.2))
    same, other, coarse, soft = (
        texture_features(patches).mean(0)
        for patches in (fine, darker, grain(1, width=3.0), torch.from_numpy(blurred))
    )
    assert same.shape == (18,)
    near = (same - texture_features(grain(2)).mean(0)).norm()
    assert (same - other).norm() < 0.2 * (same - soft).norm()
    assert (same - soft).norm() > 5 * near
    assert (same - coarse).norm() > 5 * near


def test_lines_are_more_coherent_than_grain() -> None:
    _, x = np.indices((32, 32))
    lines = np.clip(180 + 20 * np.sin(x * 0.8)[None, None], 0, 255)
    lines = torch.from_numpy(np.repeat(lines, 3, axis=1).astype(np.uint8))
    assert texture_features(lines)[0, -2:].min() > 0.95
    assert texture_features(grain(0, 1))[0, -2] < 0.7


def test_hairs_are_sparser_than_grain() -> None:
    hairy = torch.full((1, 3, 32, 32), 200, dtype=torch.uint8)
    hairy[..., 7] = hairy[..., 20] = 60
    sparseness = slice(12, 13)
    assert (
        texture_features(hairy)[0, sparseness] > texture_features(grain(0, 1))[0, sparseness] + 0.3
    )


def test_a_map_of_colours_explains_itself_and_no_blur() -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(60, 200, (24, 24, 3)).astype(np.uint8)
    matrix = np.array([[0.8, 0.1, 0.0], [0.0, 0.7, 0.1], [0.1, 0.0, 0.9]])
    mapped = np.rint(before @ matrix + 12).astype(np.uint8)
    assert explained_by_colours(before, mapped) > 0.999
    permuted = before.reshape(-1, 3)[rng.permutation(24 * 24)].reshape(before.shape)
    # A change of places takes the mean back at most: about a half of it is told by the colour itself.
    assert explained_by_colours(before, permuted) == pytest.approx(0.5, abs=0.03)
    spots = before.copy()
    spots[::2, ::2] = 255 - spots[::2, ::2]
    assert explained_by_colours(before, spots) < 0.4
    assert explained_by_colours(before, before) is None


def described(
    seed: Any, patients: Any, shift: Any = 0.0, each: Any = 3, within: Any = 0.5, dim: Any = 4
) -> Any:
    """Patches whose patients differ more than they do themselves."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, 1, (patients, dim))
    values = np.repeat(own, each, axis=0) + rng.normal(0, within, (patients * each, dim)) + shift
    names = tuple(f"p{i // each}" for i in range(patients * each))
    return Described(torch.from_numpy(values).float(), names)


def kernel(first: Any, second: Any) -> Any:
    return (first @ second.T / first.shape[1] + 1) ** 3


def naive_distance(target: Any, made: Any, without: Any = None) -> Any:
    """Squared MMD without pairs of one patient, and without the target's own part."""
    rows = [i for i, name in enumerate(made.patients) if name != without]
    own, theirs = made.features.numpy(), target.features.numpy()
    pairs = [
        kernel(own[i : i + 1], own[j : j + 1]).item()
        for i in rows
        for j in rows
        if made.patients[i] != made.patients[j]
    ]
    return np.mean(pairs) - 2 * kernel(theirs, own[rows]).mean()


def test_the_gain_and_its_error_are_those_of_the_definition() -> None:
    target, made, other = described(0, 4), described(1, 5), described(2, 5, shift=0.4)
    gain = gain_over(target, made, other)
    expected = naive_distance(target, other) - naive_distance(target, made)
    assert gain.value == pytest.approx(expected, rel=1e-5)
    # With the target's patients held fixed the rest of the error is that of the made ones.
    left_out = [
        naive_distance(target, other, name) - naive_distance(target, made, name)
        for name in sorted(set(made.patients))
    ]
    own = 4 / 5 * np.square(np.array(left_out) - np.mean(left_out)).sum()
    assert gain.error**2 > own


def test_no_method_is_nearer_than_itself() -> None:
    target, made = described(0, 6), described(1, 8, shift=0.3)
    gain = gain_over(target, made, made)
    assert (gain.value, gain.error) == (0.0, 0.0)
    assert not gain.is_nearer
    assert not gain.is_further
    assert gain_over(described(0, 2), made, made) is None


def test_a_method_that_is_nearer_is_told_from_one_that_is_not() -> None:
    nearer, false = 0, 0
    for seed in range(60):
        target, start = described(3 * seed, 25), described(3 * seed + 1, 25, shift=1.2)
        noise = np.random.default_rng(seed).normal(0, 0.3, start.features.shape)
        made = Described(start.features - 1.2, start.patients)
        shaken = Described(start.features + torch.from_numpy(noise).float(), start.patients)
        also = Described(start.features - torch.from_numpy(noise).float(), start.patients)
        nearer += gain_over(target, made, start).is_nearer
        gain = gain_over(target, shaken, also)
        false += gain.is_nearer or gain.is_further
    assert nearer > 0.9 * 60
    assert false < 0.1 * 60


def test_the_tone_floor_is_that_of_as_many_photographs() -> None:
    rng = np.random.default_rng(0)

    def colours(count: Any) -> Any:
        return [SkinColour(float(angle), 0.0, 0.0) for angle in rng.normal(30, 8, count)]

    for counts in ((40, 40), (160, 40)):
        expected = np.mean(
            [colour_distances(colours(counts[0]), colours(counts[1]))[0] for _ in range(200)]
        )
        own = colours(120)
        found = tone_floor(own, [str(i) for i in range(120)], counts, 0)
        assert found == pytest.approx(expected, rel=0.25)


def test_patients_are_not_divided_between_the_sides_of_a_floor() -> None:
    alike = described(0, 12, each=6, within=0.05)
    found = patch_floor(alike, 30, 0)
    assert found is not None
    value = found[0]
    strangers = Described(alike.features, tuple(map(str, range(72))))
    apart = patch_floor(strangers, 30, 0)
    assert apart is not None
    divided = apart[0]
    # Twelve patients, not 72: their halves differ.
    assert value > divided + 0.3
    assert patch_floor(described(0, 1), 3, 0) is None
