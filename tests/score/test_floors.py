"""What stands beside a figure: perfect generators are seldom called worse, wrong ones are."""

import numpy as np
import pytest
import torch

from hzsynth.score.floors import Asked, Formula, Rows, compare, relabelled
from tests.score.scenes import flagged, scene


def difference_of_means(values: torch.Tensor) -> Formula:
    def formula(real: Rows, fake: Rows) -> dict[str, float]:
        return {"gap": abs(float(values[real].mean() - values[fake].mean()))}

    return formula


def test_relabelling_gives_the_exact_chance_of_equal_sets() -> None:
    rng = np.random.default_rng(0)
    chances = []
    for _ in range(200):
        found = relabelled(
            difference_of_means(torch.from_numpy(rng.normal(size=24))),
            torch.arange(10),
            torch.arange(10, 24),
            Asked(("gap",), "lower", 2),
            relabellings=99,
            rng=rng,
        )
        chances.append(found["gap"])
    assert np.mean(np.array(chances) <= 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(chances) == pytest.approx(0.5, abs=0.06)


def test_the_parts_of_a_floor_share_no_patient() -> None:
    # Ten photographs of each of six patients, all alike: within a patient nothing differs.
    values = torch.arange(6.0).repeat_interleave(10)
    units = np.repeat(np.arange(6), 10)
    found = compare(
        lambda pooled: lambda a, b: {"shared": float(torch.isin(pooled[a], pooled[b]).any())},
        values,
        values + 100,
        units,
        Asked(("shared",), "lower", 2),
        repeats=8,
        relabellings=99,
        seed=0,
    )["shared"]
    assert found.floor == (0.0, 0.0)
    assert (found.n_floor, found.n_tested) == (30, 6)


def test_perfect_generators_are_seldom_flagged_and_wrong_ones_mostly() -> None:
    # The whole of it, 200 scenes each, is benchmarks/score_floors.py.
    perfect = [flagged(scene(seed, relabellings=159)) for seed in range(6)]
    assert sum(perfect) <= 1
    for kind in ("shifted", "collapsed", "copier"):
        assert flagged(scene(100, kind, relabellings=159)), kind


def test_a_copier_stands_apart_from_an_honest_generator() -> None:
    copier = scene(7, "copier", ("kid", "prdc", "palate", "memorisation"))
    # With 25 held-out patients PALATE points the right way; memorisation proves it.
    assert copier["palate"].value > 0.55
    assert copier.memorisation is not None
    assert copier.memorisation.share == 1
    assert (copier.memorisation.p_adjusted or 1) < 0.01
    assert copier["kid"].against_training is not None
    honest = scene(7, "perfect", ("kid", "prdc", "palate", "memorisation"))
    assert honest["palate"].beyond_floor is False
    assert not flagged(honest)
