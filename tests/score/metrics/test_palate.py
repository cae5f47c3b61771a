"""PALATE of copiers, of new photographs and of too few."""

import pytest

from hzsynth.score.metrics.palate import palate
from tests.score.metrics.clouds import gaussian
from tests.score.scenes import scene


def test_a_copier_lies_at_its_training_and_a_fresh_set_between() -> None:
    held_out, training = gaussian(0, 200), gaussian(1, 200)
    assert palate(held_out, training, training) == pytest.approx(1.0)
    assert palate(held_out, training, held_out) == pytest.approx(0.0)
    assert palate(held_out, training, gaussian(2, 200)) == pytest.approx(0.5, abs=0.25)


def test_it_is_what_the_formula_says() -> None:
    report = scene(3, "perfect", ("palate",))
    assert report["palate"].value == pytest.approx(0.5, abs=0.25)
    assert report["palate"].p is not None
