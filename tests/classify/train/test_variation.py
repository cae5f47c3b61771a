"""Variation while training: everybody alike, whatever the class, the arm or the files of the set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hzsynth.augment.build import build_dataset
from hzsynth.augment.config import BuildConfig
from hzsynth.augment.strategies import SETTINGS, Augmenter, recorded_augmenter
from hzsynth.classify.train.batches import Batches, make_batches
from hzsynth.classify.train.loading import LabelledImages, load_training_data
from hzsynth.classify.train.variation import Variation
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import VIEWS, ImageRecord
from hzsynth.core.image_set import ImageSet
from tests.classify.conftest import classify_config

TARGETS = torch.tensor([0] * 3 + [1] * 12)
VIEWS_OF = torch.tensor([8] * 3 + [1] * 12)


def _images(size: int = 16) -> LabelledImages:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (len(TARGETS), 3, size, size), dtype=np.uint8)
    return LabelledImages(torch.from_numpy(pixels), TARGETS, views=VIEWS_OF)


def _batches(seed: int = 0, balanced: bool = False) -> Batches:
    variation = Variation(Augmenter(), seed)
    return Batches(_images(), 12, 0, balanced=balanced, flip=False, variation=variation)


def test_an_epoch_shows_every_image_as_often_as_it_has_views() -> None:
    batches = _batches()
    seen = torch.cat([batches[step].indices for step in range(3)])  # 36 views: 3 x 8 + 12
    assert torch.equal(torch.bincount(seen), VIEWS_OF)
    assert len(batches.once()) == 36


def test_every_class_is_varied_equally_often() -> None:
    images, drawn, changed = _images(), torch.zeros(2), torch.zeros(2)
    for balanced in (True, False):
        batches = _batches(balanced=balanced)
        for step in range(40):
            batch = batches[step]
            assert batch.varied
            moved = (batch.pixels != images.pixels[batch.indices]).flatten(1).any(1)
            drawn += torch.bincount(batch.targets, minlength=2)
            changed += torch.bincount(batch.targets[moved], minlength=2)
    shares = (changed / drawn).tolist()
    assert min(shares) > 0.9  # each of the eight strategies acts by chance of its own
    assert shares[0] == pytest.approx(shares[1], abs=0.04)


def test_a_view_follows_from_seed_and_step_and_steps_differ() -> None:
    assert torch.equal(_batches(1)[4].pixels, _batches(1)[4].pixels)
    assert torch.equal(_batches(1).once(), _batches(1).once())
    assert not torch.equal(_batches(1).once(), _batches(2).once())
    # The eight views of the first image are eight different pictures.
    assert len({picture.numpy().tobytes() for picture in _batches().once()[:8]}) == 8


def test_the_strategies_are_those_that_the_set_was_built_with() -> None:
    mild = Augmenter(("rotation", "flip"), 0.5)
    rows = [ImageRecord(f"{i}.png", "x", extra={SETTINGS: mild.description}) for i in range(3)]
    again = recorded_augmenter([ImageRecord("real.png", "x"), *rows])
    assert (again.names, again.strength) == (("flip", "rotation"), 0.5)
    pixels = np.random.default_rng(1).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    assert all((again(pixels, s)[0] == mild(pixels, s)[0]).all() for s in range(8))
    assert recorded_augmenter([ImageRecord("real.png", "x")]).description == Augmenter().description
    with pytest.raises(InputError, match="does not describe"):
        Augmenter.from_description("flip x much")


@pytest.mark.parametrize("size", [None, 32])
def test_written_variations_change_nothing_in_what_is_learned_from(
    photographs: ImageSet, tmp_path: Path, size: int | None
) -> None:
    """Files for other tools stand for views: the classifier sees the same batches with and without."""
    batches = []
    for write in (False, True):
        settings = BuildConfig(
            label="zoster", ratio=0, multiplier=3, size=size, write_augmented=write
        )
        built = build_dataset(photographs, [], settings, tmp_path / f"{write}-{size}", workers=1)
        assert len(built.select("train")) == (32 if write else 16)
        data = load_training_data(built, 32, "zoster")
        assert len(data.train) == 16
        assert len(data.train.shown) == 8 + 3 * 8
        batches.append(make_batches(data, classify_config(None)))
    for step in range(6):
        assert torch.equal(batches[0][step].pixels, batches[1][step].pixels)
        assert torch.equal(batches[0][step].targets, batches[1][step].targets)


def test_a_number_of_views_that_is_none_is_refused(photographs: ImageSet) -> None:
    rows = list(photographs.records)
    rows[0] = replace(rows[0], extra={VIEWS: "often"})
    with pytest.raises(InputError, match="whole number from 1, not 'often'"):
        load_training_data(photographs.replace_records(rows), 32, "zoster")
