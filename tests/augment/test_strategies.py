import json
from typing import Any

import numpy as np
import pytest

from hzsynth.augment.config import ONE_IMAGE_NAMES
from hzsynth.augment.mixing import cutmix, mix_pair, mixup
from hzsynth.augment.preview import preview_sheet
from hzsynth.augment.strategies import STRATEGY_NAMES, Augmenter
from hzsynth.core.errors import InputError
from tests.augment.conftest import picture


def test_there_are_nine() -> None:
    assert len(STRATEGY_NAMES) == 9
    assert (*ONE_IMAGE_NAMES, "mixing") == STRATEGY_NAMES


@pytest.mark.parametrize("name", ONE_IMAGE_NAMES)
def test_every_strategy_changes_images_keeps_their_form_and_depends_on_the_seed_alone(
    name: Any,
) -> None:
    augmenter, again = Augmenter([name]), Augmenter([name])
    original = picture(1, 48)
    results = [augmenter(original, seed) for seed in range(12)]
    assert all(r.shape == original.shape and r.dtype == np.uint8 for r, _ in results)
    assert any(not np.array_equal(r, original) for r, _ in results)
    late, parameters = again(original, 7)
    assert np.array_equal(late, results[7][0])
    assert parameters == results[7][1]
    json.loads(parameters)


def test_flips_are_the_only_effect_of_flip() -> None:
    original = picture(2, 40)
    outcomes = {Augmenter(["flip"])(original, seed)[0].tobytes() for seed in range(30)}
    expected = {original[::a, ::b].tobytes() for a in (1, -1) for b in (1, -1)}
    assert outcomes == expected


def test_noise_has_the_stated_size() -> None:
    grey = np.full((200, 200, 3), 128, dtype=np.uint8)
    deviations = [float(Augmenter(["noise"])(grey, s)[0].std()) for s in range(40)]
    assert max(deviations) <= 0.04 * 255 * 1.05
    assert max(deviations) > 0.03 * 255


def test_unknown_names_and_strengths_are_refused() -> None:
    with pytest.raises(InputError, match="not known"):
        Augmenter(["sharpen"])
    with pytest.raises(InputError, match="strength"):
        Augmenter(strength=0)


def test_mixup_and_cutmix_follow_their_definitions() -> None:
    black, white = np.zeros((20, 40, 3), np.uint8), np.full((20, 40, 3), 255, np.uint8)
    assert np.all(mixup(white, black, 0.25) == 64)
    mixed = cutmix(black, white, 0.75, (0.5, 0.5))
    assert (mixed == 255).mean() == pytest.approx(0.25)
    assert np.all(mixed[5:15, 10:30] == 255)
    corner = cutmix(black, white, 0.75, (0.0, 0.0))
    assert (corner == 255).mean() == pytest.approx(0.25 / 4)
    weights = [mix_pair(black, white, "mixup", np.random.default_rng(s))[1] for s in range(50)]
    assert min(weights) >= 0.5


def test_cutmix_tells_the_share_that_it_left() -> None:
    black, white = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)
    for seed in range(40):
        mixed, share = mix_pair(black, white, "cutmix", np.random.default_rng(seed))
        assert share == pytest.approx((mixed == 0).mean())
        assert 0.5 <= share <= 1


def test_a_preview_has_a_row_for_every_strategy() -> None:
    pictures = [np.full((48, 48, 3), level, np.uint8) for level in (60, 120, 180)]
    pictures[0][:20] = 200
    one = preview_sheet(pictures, ["flip"])
    every = preview_sheet(pictures, STRATEGY_NAMES)
    # Photographs, the strategy and all together; then eight, MixUp, CutMix and those two.
    assert every.shape[0] * 3 == one.shape[0] * 12
    assert every.shape[1] == one.shape[1]
    half = one.shape[0] // 3
    shown, flipped = (
        one[half - 48 - 4 : half - 4, 4:52],
        one[2 * half - 48 - 4 : 2 * half - 4, 4:52],
    )
    np.testing.assert_array_equal(shown, pictures[0])
    assert any(np.array_equal(flipped, view) for view in (shown[::-1], shown[::-1, ::-1], shown))
    np.testing.assert_array_equal(every, preview_sheet(pictures, STRATEGY_NAMES))
    with pytest.raises(InputError, match="one photograph"):
        preview_sheet([], ["flip"])
    with pytest.raises(InputError, match="not known"):
        preview_sheet(pictures, ["sharpen"])
