"""Losses against torch and closed forms; mixing against pictures that say what they hold."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from hzsynth.classify.train.classifier import train_classifier
from hzsynth.classify.train.losses import Mixing, focal_loss, make_loss
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from tests.classify.conftest import classify_config


@pytest.fixture
def batch() -> Any:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 3, generator=generator)
    targets = torch.randint(3, (12,), generator=generator)
    return logits, targets, torch.tensor([0.5, 1.0, 2.0])


@pytest.mark.parametrize("soft", [False, True])
def test_the_focal_loss_with_gamma_0_is_cross_entropy(batch: Any, soft: bool) -> None:
    logits, targets, weights = batch
    wanted = torch.rand(12, 3).softmax(1) if soft else targets
    expected = functional.cross_entropy(logits, wanted, weight=weights)
    torch.testing.assert_close(focal_loss(logits, wanted, weights, 0.0), expected)
    torch.testing.assert_close(
        make_loss("cross-entropy", weights, 2.0, 0.0)(logits, wanted), expected
    )


def test_the_focal_loss_has_its_closed_form(batch: Any) -> None:
    logits, targets, _ = batch
    p = logits.softmax(1)[torch.arange(12), targets]
    expected = (-((1 - p) ** 2) * p.log()).mean()
    torch.testing.assert_close(
        make_loss("focal", torch.ones(3), 2.0, 0.0)(logits, targets), expected
    )


@pytest.mark.parametrize("kind", ["mixup", "cutmix", "both"])
def test_the_shares_of_the_targets_are_those_of_the_pixels(kind: Any) -> None:
    """Black pictures are class 0 and white ones class 1: the mean grey is the share of class 1."""
    targets = torch.tensor([0, 1, 1, 0, 1, 0])
    images = targets.float().view(-1, 1, 1, 1).expand(-1, 3, 16, 16).clone()
    mixing = Mixing(kind, 1.0, 2, seed=3)
    shares = []
    for step in range(8):
        mixed, labels = mixing(images, targets, step)
        torch.testing.assert_close(mixed.mean((1, 2, 3)), labels[:, 1])
        torch.testing.assert_close(labels.sum(1), torch.ones(6))
        shares += labels[:, 1].tolist()
    assert any(0.01 < share < 0.99 for share in shares)
    assert {float(x) for x in images.unique()} == {0, 1}


def test_a_step_is_mixed_the_same_way_again_and_the_global_state_is_left_alone() -> None:
    targets = torch.tensor([[0.2, 0.8], [1.0, 0.0], [0.0, 1.0]])
    images = torch.rand(3, 3, 8, 8)
    mixing = Mixing("both", 0.4, 2, seed=0)
    before = torch.get_rng_state()
    first, again, other = (mixing(images, targets, step) for step in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"mix": "both", "optimiser": "adamw", "schedule": "linear"},
        {"loss": "focal", "schedule": "constant", "mix": "mixup"},
        {"label_smoothing": 0.1, "mix": "cutmix", "robust": "gnt"},
    ],
)
def test_every_choice_trains(
    photographs: ImageSet,
    weights: Path,
    tmp_path: Path,
    changes: dict[str, str] | dict[str, float | str],
) -> None:
    config = classify_config(weights, **changes)
    run = RunDir.start(tmp_path / "run", "classify", config, {"images": photographs.digest})
    result = train_classifier(photographs, config, run)
    run.close()
    assert result.steps == 8
    assert result.validation["loss"] > 0
