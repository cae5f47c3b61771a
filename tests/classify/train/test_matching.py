from pathlib import Path

import numpy as np
import pytest
import torch

from hzsynth.augment.strategies import SETTINGS, Augmenter, recorded_augmenter
from hzsynth.classify.train.batches import Batches
from hzsynth.classify.train.loading import LabelledImages
from hzsynth.classify.train.matching import Matching, matching_shares
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord

TARGETS = torch.tensor([0] * 10 + [1] * 6 + [2] * 4)
AUGMENTED = torch.tensor([False] * 2 + [True] * 8 + [False] * 6 + [True] * 2 + [False] * 2)


def _records() -> list[ImageRecord]:
    return [
        ImageRecord(f"{i}.png", "x", origin="augmented" if flag else "real")
        for i, flag in enumerate(AUGMENTED.tolist())
    ]


def _images(size: int = 16) -> LabelledImages:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (len(TARGETS), 3, size, size), dtype=np.uint8)
    return LabelledImages(torch.from_numpy(pixels), TARGETS)


def test_shares_make_augmentation_equally_frequent_in_every_class() -> None:
    shares = matching_shares(TARGETS, AUGMENTED)
    assert shares[AUGMENTED].max() == 0
    # Class 0 has .8 already, class 1 has none, class 2 half: .5 + .5 x .6 = .8.
    assert shares[:2].tolist() == [0, 0]
    assert shares[10:16].tolist() == pytest.approx([0.8] * 6)
    assert shares[18:].tolist() == pytest.approx([0.6] * 2)
    seen = AUGMENTED.float() + shares
    assert [float(seen[c == TARGETS].mean()) for c in range(3)] == pytest.approx([0.8] * 3)


def test_a_set_without_augmentation_or_with_all_of_it_needs_no_matching() -> None:
    plain = [ImageRecord(f"{i}.png", "x") for i in range(20)]
    assert Matching.for_records(plain, TARGETS, 0) is None
    everything = [ImageRecord(f"{i}.png", "x", origin="augmented") for i in range(20)]
    assert Matching.for_records(everything, TARGETS, 0) is None


def test_batches_show_augmentation_at_the_same_rate_in_every_class() -> None:
    images = _images()
    matching = Matching.for_records(_records(), TARGETS, 3)
    batches = Batches(images, 20, 3, balanced=True, flip=False, matching=matching)
    drawn, seen = torch.zeros(3), torch.zeros(3)
    for step in range(60):
        batch = batches[step]
        unchanged = (batch.pixels == images.pixels[batch.indices]).flatten(1).all(1)
        assert unchanged[~batch.varied].all()
        assert not batch.varied[AUGMENTED[batch.indices]].any()
        traced = batch.varied | AUGMENTED[batch.indices]
        drawn += torch.bincount(batch.targets, minlength=3)
        seen += torch.bincount(batch.targets[traced], minlength=3)
    # 400 draws a class: a standard error of .02.
    assert (seen / drawn).tolist() == pytest.approx([0.8] * 3, abs=0.08)


def test_a_batch_follows_from_seed_and_step_and_steps_differ() -> None:
    images = _images()
    make = lambda seed: Batches(  # noqa: E731
        images,
        20,
        0,
        balanced=False,
        flip=False,
        matching=Matching.for_records(_records(), TARGETS, seed),
    )
    assert torch.equal(make(1)[4].pixels, make(1)[4].pixels)
    assert torch.equal(make(1).once(), make(1).once())
    assert not torch.equal(make(1).once(), make(2).once())
    # The same image, varied in two epochs, is varied differently.
    first, second = make(1)[0], make(1)[1]
    place = {int(i): n for n, i in enumerate(second.indices) if second.varied[n]}
    pairs = [
        (n, place[int(i)])
        for n, i in enumerate(first.indices)
        if first.varied[n] and int(i) in place
    ]
    assert pairs
    assert any(not torch.equal(first.pixels[a], second.pixels[b]) for a, b in pairs)


def test_the_strategies_are_those_that_the_set_was_built_with(tmp_path: Path) -> None:
    mild = Augmenter(("rotation", "flip"), 0.5)
    rows = [
        ImageRecord(f"{i}.png", "x", origin="augmented", extra={SETTINGS: mild.description})
        for i in range(3)
    ]
    again = recorded_augmenter([ImageRecord("real.png", "x"), *rows])
    assert (again.names, again.strength) == (("flip", "rotation"), 0.5)
    pixels = np.random.default_rng(1).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    assert all((again(pixels, s)[0] == mild(pixels, s)[0]).all() for s in range(8))
    assert recorded_augmenter([ImageRecord("real.png", "x")]).description == Augmenter().description
    with pytest.raises(InputError, match="does not describe"):
        Augmenter.from_description("flip x much")
