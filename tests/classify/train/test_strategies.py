"""The fine-tuning strategies: what learns when, penalties and rates by hand, exact resume."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import nn

from hzsynth.classify.models import create_network, head_of
from hzsynth.classify.train.config import ClassifyConfig, Strategy
from hzsynth.classify.train.finetuning import (
    Phase,
    body_layers,
    learning_layers,
    make_optimiser,
    relative_gradient_norms,
    set_mode,
)
from hzsynth.classify.train.strategies import NearStart, strategy_phases
from hzsynth.core.image_set import ImageSet
from tests.classify.conftest import StopsAt, classify_config, tiny_network

from .test_classifier import assert_equal_runs, train, weights_of

STRATEGIES = get_args(Strategy)


def _nothing(_step: int) -> dict[str, torch.Tensor]:
    return {"loss": torch.zeros(())}


def _phases(strategy: Strategy, steps: int = 23) -> list[Phase]:
    settings: dict[str, Any] = {"finetune": strategy, "steps": steps}
    config = ClassifyConfig.from_sources(None, settings)
    return strategy_phases(config, tiny_network(), probe=_nothing, supervised=_nothing)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_makes_the_same_number_of_steps(strategy: Strategy) -> None:
    for steps in (1, 2, 23, 200):
        phases = _phases(strategy, steps)
        assert sum(phase.steps for phase in phases) == steps
        assert min(phase.steps for phase in phases) >= 0


@pytest.mark.parametrize("model", ["test_efficientnet", "densenet121", "mobilenetv3_small_100"])
def test_the_layers_are_the_whole_body_from_the_input(model: str) -> None:
    network = create_network(model, classes=3, pretrained="none", seed=0)
    layers = body_layers(network)
    assert len(layers) >= 5
    own = {id(p) for p in head_of(network).parameters()}
    listed = [id(p) for layer in layers for p in layer]
    assert sorted(listed) == sorted(id(p) for p in network.parameters() if id(p) not in own)
    assert id(next(network.parameters())) in {id(p) for p in layers[0]}


def test_gradual_unfreezing_grows_from_its_end() -> None:
    network = tiny_network()
    layers = body_layers(network)
    ways: tuple[tuple[Strategy, bool], ...] = (
        ("gradual-last-first", True),
        ("gradual-first-last", False),
    )
    for strategy, last in ways:
        counts = []
        for phase in _phases(strategy):
            chosen = learning_layers(network, phase)
            set_mode(network, phase, freeze_statistics=True)
            free = {id(p) for p in network.parameters() if p.requires_grad}
            expected = {id(p) for layer in chosen for p in layer}
            expected |= {id(p) for p in head_of(network).parameters()}
            assert free == expected
            if chosen:
                end = chosen[-1] is not None and layers[-1 if last else 0]
                assert {id(p) for p in end} <= free
            counts.append(len(chosen))
        assert counts[0] == 0
        assert counts == sorted(set(counts))
        assert counts[-1] == len(layers)


@pytest.mark.parametrize("power", [1, 2])
def test_the_penalty_by_hand(power: int) -> None:
    network = tiny_network()
    loss = NearStart(_nothing, network, power=power, body=0.1, head=0.2)
    head = head_of(network).weight
    at_start = head.detach().abs().sum() if power == 1 else 0.5 * head.detach().square().sum()
    assert loss(0)["loss"].item() == pytest.approx(0.2 * at_start.item(), abs=1e-6)
    weights = [p for p in network.parameters() if p.dim() > 1 and p is not head]
    with torch.no_grad():
        for weight in weights:
            weight.add_(0.5)
        head.fill_(2.0)
    moved = sum(p.numel() for p in weights) * (0.5 if power == 1 else 0.125)
    expected = 0.1 * moved + 0.2 * head.numel() * 2.0
    assert loss(0)["loss"].item() == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="1 or 2"):
        NearStart(_nothing, network, power=3, body=0.1, head=0.1)


def test_relative_gradient_norms_by_hand() -> None:
    first, second = nn.Parameter(torch.full((4,), 2.0)), nn.Parameter(torch.full((9,), 1.0))
    first.grad, second.grad = torch.full((4,), 1.0), torch.full((9,), 2.0)
    # Norms 2 / 4 and 6 / 3: 0.5 and 2.
    groups = [{"params": [first]}, {"params": [second]}]
    assert relative_gradient_norms(groups) == pytest.approx([0.25, 1.0])
    first.grad, second.grad = torch.zeros(4), torch.zeros(9)
    assert relative_gradient_norms(groups) == [1.0, 1.0]


def test_relative_rates_have_a_group_for_every_layer() -> None:
    network = tiny_network()
    (phase,) = [phase for phase in _phases("auto-rgn") if phase.steps]
    optimiser = make_optimiser(network, phase, 0.0)
    assert len(optimiser.param_groups) == 1 + len(body_layers(network))
    full = make_optimiser(network, _phases("full")[-1], 0.0)
    assert len(full.param_groups) == 2


@pytest.mark.parametrize(
    "strategy", ["gradual-last-first", "gradual-first-last", "l2-sp", "auto-rgn"]
)
def test_a_strategy_resumes_exactly(
    strategy: str, tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    config = classify_config(weights, finetune=strategy, steps=10, evaluate_every=2)
    whole = train(tmp_path / "whole", photographs, config)
    for step in (3, 4):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", photographs, config, progress=StopsAt("training", step))
    assert_equal_runs(whole.run, train(tmp_path / "cut", photographs, config).run)


def test_l2_sp_stays_nearer_to_its_start(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    start = create_network(
        "test_efficientnet", classes=2, pretrained=str(weights / "test_efficientnet.pth"), seed=0
    )
    before = start.state_dict()
    far = {}
    for penalty in (0.0, 100.0):
        config = classify_config(
            weights,
            finetune="l2-sp",
            steps=10,
            learning_rate=1e-2,
            start_penalty=penalty,
            average=False,
        )
        result = train(tmp_path / f"{penalty}", photographs, config)
        after = weights_of(result.run)
        far[penalty] = sum(
            float((after[n] - before[n]).norm())
            for n, p in start.named_parameters()
            if p.dim() > 1 and not n.startswith("classifier")
        )
        assert all(m["penalty"] < m["loss"] for m in result.run.metrics() if "penalty" in m)
        assert sum("penalty" in m for m in result.run.metrics()) > 0
    assert far[100.0] < 0.5 * far[0.0]
