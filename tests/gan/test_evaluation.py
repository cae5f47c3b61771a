from pathlib import Path

import numpy as np
import pytest
import torch

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.gan.evaluation import (
    NearestPhotographs,
    SampleJudge,
    classes_in_shares,
    distances_to_others,
)
from hzsynth.gan.moments import Moment, MomentChoice
from hzsynth.gan.photographs import choose_photographs
from hzsynth.gan.training import train_gan

from .conftest import tiny, write_pictures


class MeanColours:
    """A feature space that can be computed by hand: the mean of each channel, and their squares."""

    name, dim, preprocessing, weights = "mean-colours", 6, "none", ""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        means = pixels.float().mean(dim=(2, 3)) / 64
        return torch.cat([means, means**2], dim=1)


def coloured(count: int, seed: int, spread: float = 30.0) -> torch.Tensor:
    """Pictures of one colour each, around skin."""
    drawn = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) * spread
    colour = (drawn + torch.tensor([170.0, 120.0, 110.0])).clamp(0, 255).to(torch.uint8)
    return colour[:, :, None, None].expand(-1, -1, 4, 4).contiguous()


def judge(train: torch.Tensor, held_out: torch.Tensor) -> SampleJudge:
    names = [f"p{i}" for i in range(len(train))]
    return SampleJudge(
        train, names, held_out, [f"h{i}" for i in range(len(held_out))], MeanColours()
    )


def test_fresh_samples_a_copier_a_collapse_and_another_world() -> None:
    train, held_out = coloured(40, 0), coloured(40, 1)
    figures = judge(train, held_out)
    fresh = figures(coloured(200, 2))
    assert abs(fresh["kid"]) < 4 * fresh["kid_error"]
    assert fresh["copies"] < 0.15
    assert fresh["diversity"] == pytest.approx(1, abs=0.15)
    assert fresh["precision"] > 0.7
    assert fresh["recall"] > 0.7
    copier = figures(train.repeat(5, 1, 1, 1))
    assert copier["copies"] == 1
    assert copier["kid_train"] < 0
    collapsed = figures(coloured(1, 3).expand(200, -1, -1, -1))
    assert collapsed["diversity"] == 0
    assert collapsed["kid"] > fresh["kid"] + 10 * fresh["kid_error_of_samples"]
    other = figures(coloured(200, 4) // 2)
    assert other["kid"] > fresh["kid"] + 10 * fresh["kid_error_of_samples"]
    assert other["precision"] < 0.3


def test_few_held_out_photographs_leave_kid_to_the_training_photographs() -> None:
    train = coloured(40, 0)
    assert judge(train, coloured(10, 1)).reference == "held-out"
    few = judge(train, coloured(9, 1))
    assert few.reference == "training"
    assert "kid_train" not in few(coloured(20, 2))
    with pytest.raises(InputError, match="two training photographs"):
        judge(train[:1], coloured(0, 1))


def test_photographs_of_one_patient_are_no_copies_of_each_other() -> None:
    features = torch.tensor([[0.0], [0.1], [5.0], [9.0]])
    groups = ["a", "a", "b", "c"]
    found = NearestPhotographs.of(distances_to_others(features, groups, features, groups))
    assert found.nearest.tolist() == pytest.approx([5.0, 4.9, 4.0, 4.0])
    means = [9.0, 8.9, (4.9 + 5.0) / 2, (8.9 + 9.0) / 2]
    assert found.relative.tolist() == pytest.approx(
        [a / b for a, b in zip(found.nearest.tolist(), means, strict=True)]
    )
    alone = distances_to_others(features[:2], groups[:2], features[:2], groups[:2])
    assert torch.isinf(alone).all()
    assert len(NearestPhotographs.of(alone).nearest) == 0
    assert NearestPhotographs.of(torch.tensor([[3.0, float("inf")]])).relative.tolist() == [1.0]


class Pixels:
    """The pixels themselves as features."""

    name, dim, preprocessing, weights = "pixels", 300, "none", ""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().flatten(1) / 255


def test_a_blurred_sample_is_near_to_all_but_no_copy() -> None:
    drawn = torch.rand(60, 3, 10, 10, generator=torch.Generator().manual_seed(0))
    pixels = (drawn * 255).to(torch.uint8)
    names = [f"p{i}" for i in range(60)]
    figures = SampleJudge(pixels[:40], names[:40], pixels[40:], names[40:], Pixels())
    grey = torch.full((50, 3, 10, 10), 127, dtype=torch.uint8)
    blurred = figures(grey)
    assert (blurred["near"], blurred["copies"]) == (1, 0)
    copies = figures(pixels[:40] // 16 * 16)
    assert (copies["near"], copies["copies"]) == (1, 1)


def moments(kids: list[float], copies: list[float] | None = None) -> list[Moment]:
    shares = copies or [0.05] * len(kids)
    return [Moment(i, k, 0.05, 0.01, c) for i, (k, c) in enumerate(zip(kids, shares, strict=True))]


def test_training_ends_when_nothing_is_gained_for_a_while() -> None:
    selection = MomentChoice(most_copies=0.15, patience=3)
    kept = []
    for moment in moments([0.5, 0.3, 0.295, 0.296, 0.294, 0.1]):
        kept.append(selection.add(moment))
        if selection.stop:
            break
    assert kept == [True, True, True, False, True]  # smaller than an error: kept, but no gain
    assert selection.best is not None
    assert selection.best.step == 4
    assert not MomentChoice(0.15, 0).stop


def test_a_copier_is_not_kept_and_does_not_count_as_a_gain() -> None:
    selection = MomentChoice(most_copies=0.15, patience=2)
    for moment in moments([0.5, 0.3, 0.1, 0.05], [0, 0.1, 0.5, 0.9]):
        selection.add(moment)
    assert selection.best is not None
    assert (selection.best.step, selection.stop) == (1, True)
    alarms = selection.alarms(Moment(9, 0.1, 0.05, 0.01, 0.5, 0.2))
    assert [alarm.split(":")[0] for alarm in alarms] == ["collapse", "copying"]
    assert selection.alarms(Moment(9, 0.1, 0.05, 0.01, 0.15, 0.5)) == ()
    again = MomentChoice(0.15, 2)
    again.load_state_dict(selection.state_dict())
    assert again == selection
    only_copiers = MomentChoice(0.15, 2)
    assert [only_copiers.add(m) for m in moments([0.3, 0.2, 0.1], [0.9, 0.4, 0.5])] == [
        True,
        True,
        False,
    ]


def test_classes_are_dealt_in_the_proportions_of_the_photographs() -> None:
    assert np.bincount(classes_in_shares([30, 60, 10], 100)).tolist() == [30, 60, 10]
    assert np.bincount(classes_in_shares([30, 60, 10], 10)).tolist() == [3, 6, 1]
    assert set(classes_in_shares([1, 1], 3)) == {0, 1}


def test_a_share_of_the_patients_is_held_out_when_it_is_asked_for(tmp_path: Path) -> None:
    images = write_pictures(tmp_path / "many", count=24, splits=False)
    chosen = choose_photographs(images, tiny(held_out_share=0.25))
    assert (len(chosen.train), len(chosen.held_out)) == (18, 6)
    assert not {r.sha256 for r in chosen.train} & {r.sha256 for r in chosen.held_out}
    assert len(choose_photographs(images, tiny()).held_out) == 0
    one = choose_photographs(write_pictures(tmp_path / "one", count=1), tiny(held_out_share=0.5))
    assert (len(one.train), len(one.held_out)) == (1, 0)


def test_a_watched_run_stops_keeps_its_best_moment_and_draws_its_curves(
    tmp_path: Path, pictures: ImageSet
) -> None:
    config = tiny(watch=True, patience=2, kimg=10, snapshot_kimg=0.004, label="zoster")
    with RunDir.start(tmp_path / "run", "gan", config, {}) as run:
        result = train_gan(pictures, config, run)
    assert result.stopped == "no gain"
    lines = [line for line in run.metrics() if "kid" in line]
    assert result.steps == lines[-1]["step"] < 2500
    eligible = [line for line in lines if line["copies"] <= 0.15] or lines
    assert result.best_step == min(eligible, key=lambda line: line["kid"])["step"]
    assert result.best["kid"] == next(
        line["kid"] for line in lines if line["step"] == result.best_step
    )
    assert {"kid.png", "variety.png", "model.safetensors", "last.safetensors"} <= {
        path.name for path in run.path.iterdir()
    }
