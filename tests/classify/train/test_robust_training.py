"""Training for robustness: what each way does to a batch, by its definition."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch.nn import functional

from hzsynth.classify.train.adversarial_noise import AdversarialNoise, noise_generator
from hzsynth.classify.train.config import Robust
from hzsynth.classify.train.robust_training import (
    AugMix,
    GaussianNoise,
    jensen_shannon,
    make_objective,
)
from hzsynth.core.image_set import ImageSet
from tests.classify.conftest import StopsAt, classify_config

from .test_classifier import assert_equal_runs, train

WAYS = get_args(Robust)
CPU = torch.device("cpu")


class Seen:
    """A network that answers with two means of the image and keeps what it was asked."""

    def __init__(self) -> None:
        self.batches: list[torch.Tensor] = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.batches.append(images.detach().clone())
        return torch.stack([images[:, 0].mean((1, 2)), images[:, 1:].mean((1, 2, 3))], dim=1)


def _images(count: int = 10, side: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand((count, 3, 4, 4), generator=generator)
    images = functional.interpolate(smooth, size=(side, side), mode="bilinear")
    return (images * 255).round() / 255


def _loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits, targets)


TARGETS = torch.arange(10) % 2


@pytest.mark.parametrize("way", WAYS)
def test_a_step_gives_the_same_loss_again_and_leaves_the_global_generator(way: Any) -> None:
    values = []
    for _ in range(2):
        before = torch.random.get_rng_state()
        objective = make_objective(way, _loss, seed=3, size=24, device=CPU)
        values.append(
            [float(objective(Seen(), _images(), TARGETS, step)["loss"]) for step in range(3)]
        )
        assert torch.equal(before, torch.random.get_rng_state())
    assert values[0] == values[1]
    if way != "none":
        assert len(set(values[0])) == 3
    other = make_objective(way, _loss, seed=4, size=24, device=CPU)
    assert (float(other(Seen(), _images(), TARGETS, 0)["loss"]) == values[0][0]) == (way == "none")


def test_half_of_a_batch_gets_noise_of_the_published_strength() -> None:
    grey = torch.full((40, 3, 64, 64), 0.5)
    seen = Seen()
    GaussianNoise(_loss, (0.08, 0.26), seed=0)(seen, grey, torch.zeros(40).long(), 0)
    spreads = (seen.batches[0] - 0.5).flatten(1).std(dim=1)
    assert torch.equal(seen.batches[0][20:], grey[20:])
    near = [min((abs(float(s) - sigma), sigma) for sigma in (0.08, 0.25)) for s in spreads[:20]]
    # 0.26 loses a little where pixels are clipped.
    assert max(distance for distance, _ in near) < 0.012
    assert {sigma for _, sigma in near} == {0.08, 0.25}


def test_jensen_shannon_by_hand() -> None:
    same = torch.tensor([[0.3, -0.2], [1.0, 2.0]])
    assert float(jensen_shannon(same, same, same)) == pytest.approx(0, abs=1e-6)
    sure = torch.tensor([[40.0, 0.0]])
    unsure = torch.tensor([[0.0, 40.0]])
    # Two opposite certainties: their mean is even, each is ln 2 away from it.
    assert float(jensen_shannon(sure, unsure)) == pytest.approx(0.6931, abs=1e-3)


def test_augmix_asks_about_three_views_of_every_image() -> None:
    seen = Seen()
    AugMix(_loss, seed=0)(seen, _images(), TARGETS, 0)
    clean, first, second = seen.batches[0].split(10)
    assert torch.equal(clean, _images())
    assert not torch.equal(first, second)
    for view in (first, second):
        assert view.min() >= 0
        assert view.max() <= 1
        # A mixture with the image: changed, yet nearer to it than to another image.
        own = (view - clean).flatten(1).norm(dim=1)
        other = (view - clean.roll(1, 0)).flatten(1).norm(dim=1)
        assert (own < other).float().mean() >= 0.8


def test_adversarial_noise_stays_in_its_ball_and_hurts_more_than_white_noise() -> None:
    side = 24
    images = torch.full((20, 3, side, side), 0.5)
    targets = torch.zeros(20).long()
    objective = AdversarialNoise(_loss, seed=0, size=side, device=CPU)
    seen = Seen()
    for step in range(60):
        objective(seen, images, targets, step)
    batch = seen.batches[-1]
    noise = (batch - images).flatten(1).norm(dim=1)
    radius = 135 * side / 224
    assert float(noise.max()) <= radius + 1e-4
    # 30 % of the current generator, 20 % of earlier ones, half as it is.
    assert (noise[:10] > 0).all()
    assert torch.equal(batch[10:], images[10:])
    hurt = _loss(Seen()(batch[:6]), targets[:6])
    white = torch.randn((200, 3, side, side), generator=torch.Generator().manual_seed(1))
    untrained = objective.noisy(images[:1].expand(200, -1, -1, -1), white, noise_generator(0))
    assert hurt.item() > _loss(Seen()(untrained), torch.zeros(200).long()).item()


@pytest.mark.parametrize("way", ["gnt", "ant", "augmix", "pixmix"])
def test_a_robust_training_resumes_exactly(
    way: str, tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    config = classify_config(weights, robust=way)
    whole = train(tmp_path / "whole", photographs, config)
    for step in (5, 2):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", photographs, config, progress=StopsAt("training", step))
    assert_equal_runs(whole.run, train(tmp_path / "cut", photographs, config).run)
