"""The nearest-neighbour figure on scenes whose outcome anyone can predict."""

from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.core.errors import InputError
from hzsynth.score.metrics.memorisation import nearest_neighbour_memorisation


def cloud(seed: Any, count: Any, dim: Any = 6) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, dim))).float()


def test_copies_are_found_and_paired() -> None:
    train, held_out = cloud(0, 40), cloud(1, 40)
    copied = [7, 3, 31]
    found = nearest_neighbour_memorisation(
        train[copied] + 1e-4, train, held_out, extractor="cloud", pairs=3
    )
    assert found.share == 1.0
    assert found.reference == "held-out"
    assert {(p.fake, p.train) for p in found.closest} == {(0, 7), (1, 3), (2, 31)}
    assert "mostly copies" in found.sentence()


def test_few_references_do_not_say_that_it_copies() -> None:
    train = cloud(0, 40)
    found = nearest_neighbour_memorisation(train + 1e-4, train, cloud(1, 6), extractor="cloud")
    assert found.beyond_chance
    assert "more than chance explains: look at the closest pairs" in found.sentence()


def test_fresh_samples_stay_at_the_quantile() -> None:
    found = nearest_neighbour_memorisation(
        cloud(2, 2000), cloud(3, 200), cloud(4, 2000), extractor="cloud"
    )
    assert found.share == pytest.approx(0.05, abs=0.02)
    assert "no sign of copying" in found.sentence()


def test_the_share_without_copying_is_the_expected_one_however_few_are_held_out() -> None:
    train = cloud(8, 30)
    for count in (1, 6, 30):
        found = [
            nearest_neighbour_memorisation(
                cloud(100 + seed, 40), train, cloud(1000 + seed, count), extractor="cloud"
            )
            for seed in range(150)
        ]
        mean = np.mean([one.share for one in found])
        assert mean == pytest.approx(found[0].expected, abs=0.07 if count == 1 else 0.03)
    assert (
        "than any of the 6 held-out"
        in nearest_neighbour_memorisation(
            cloud(2, 9), train, cloud(3, 6), extractor="cloud"
        ).sentence()
    )
    assert "than all but 1 of the 30 held-out" in found[0].sentence()


def test_without_held_out_photographs_the_training_set_is_its_own_reference() -> None:
    train = cloud(5, 50)
    found = nearest_neighbour_memorisation(train.clone(), train, None, extractor="cloud")
    assert found.reference == "training"
    assert found.share == 1.0
    assert found.threshold > 0


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(InputError, match="at least two training images"):
        nearest_neighbour_memorisation(cloud(6, 3), cloud(7, 1), None, extractor="cloud")
