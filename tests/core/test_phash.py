from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from hzsynth.core.phash import (
    hash_bits,
    nearest_hash,
    orientations,
    perceptual_hash,
)


def _scene(seed: Any, size: Any = 64) -> Any:
    noise = np.random.default_rng(seed).normal(size=(size, size, 3))
    smooth = gaussian_filter(noise, (3, 3, 0))
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def _distance(first: Any, second: Any) -> Any:
    return nearest_hash([first], [second])[0][0]


def test_the_hash_of_each_orientation_follows_from_one_hash() -> None:
    picture = _scene(0)
    predicted = {o.tobytes() for o in orientations(hash_bits(perceptual_hash(picture)))}
    actual = set()
    for turned in (picture, picture.transpose(1, 0, 2)):
        for rows in (1, -1):
            for columns in (1, -1):
                bits = hash_bits(perceptual_hash(np.ascontiguousarray(turned[::rows, ::columns])))
                actual.add(bits.tobytes())
    assert len(actual) == 8
    assert predicted == actual


def test_copies_are_near_and_strangers_are_far() -> None:
    first, other = _scene(1), _scene(2)
    brighter = np.clip(first.astype(int) + 20, 0, 255).astype(np.uint8)
    digest = perceptual_hash(first)
    assert _distance(digest, perceptual_hash(np.rot90(brighter).copy())) < 0.05
    assert _distance(digest, perceptual_hash(other)) > 0.3


def test_a_flat_picture_has_no_hash_and_resembles_nothing() -> None:
    flat = np.full((40, 40, 3), 180, dtype=np.uint8)
    assert perceptual_hash(flat) == ""
    assert _distance("", "") == 1.0


def test_the_nearest_of_many_is_found() -> None:
    digests = [perceptual_hash(_scene(seed)) for seed in range(20)]
    flipped = perceptual_hash(_scene(7)[:, ::-1].copy())
    distances, indices = nearest_hash([flipped, ""], ["", *digests])
    assert indices[0] == 8
    assert distances[0] < 0.01
    assert distances[1] == 1.0
