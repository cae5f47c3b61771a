"""PatchNCE, gate, semantic agreement and what is done against hiding; each against plain arithmetic."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import torch_generator
from hzsynth.core.training_loop import Budget, TrainingLoop
from hzsynth.cyclegan.adversaries import Adversaries
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.contrastive import PatchHeads, draw_places, patch_loss
from hzsynth.cyclegan.domains import Domain
from hzsynth.cyclegan.hiding import with_jpeg, with_noise
from hzsynth.cyclegan.networks import ResnetGenerator, initialise
from hzsynth.cyclegan.preservation import gate_loss, semantic_loss
from hzsynth.cyclegan.translation import enlarged_rows, look_at

TINY = {
    "objective": "cyclegan",
    "resolution": 32,
    "width": 4,
    "blocks": 2,
    "discriminator_width": 4,
    "steps": 8,
}


def random_images(seed: Any, count: Any = 2, size: Any = 32) -> Any:
    return torch.rand((count, 3, size, size), generator=torch_generator(seed, "test")) * 2 - 1


def domain(seed: Any, masked: Any = False) -> Any:
    images = ((random_images(seed, 4) + 1) * 127.5).to(torch.uint8)
    masks = torch.zeros(4, 1, 32, 32, dtype=torch.bool)
    masks[:, :, 8:20, 8:20] = masked
    return Domain(images, masks)


def unit(shape: Any, seed: Any) -> Any:
    values = torch.randn(shape, generator=torch_generator(seed, "unit"))
    return functional.normalize(values, dim=2)


def test_patch_loss_equals_its_formula() -> None:
    queries, keys = unit((2, 5, 8), 0), unit((2, 5, 8), 1)
    expected = []
    for image in range(2):
        for place in range(5):
            scores = [
                math.exp(float(queries[image, place] @ keys[image, other]) / 0.07)
                for other in range(5)
            ]
            expected.append(-math.log(scores[place] / sum(scores)))
    assert float(patch_loss(queries, keys)) == pytest.approx(np.mean(expected), rel=1e-5)


def test_patch_loss_of_equal_places_is_the_logarithm_of_their_number() -> None:
    same = torch.ones(1, 7, 4) / 2
    assert float(patch_loss(same, same)) == pytest.approx(math.log(7))
    apart = torch.eye(6)[None]
    assert float(patch_loss(apart, apart)) < 1e-4


def test_no_gradient_flows_into_the_input() -> None:
    queries, keys = unit((1, 4, 8), 0).requires_grad_(), unit((1, 4, 8), 1).requires_grad_()
    patch_loss(queries, keys).backward()
    assert queries.grad is not None
    assert keys.grad is None


def test_heads_look_at_the_drawn_places() -> None:
    maps = [random_images(0, size=8), torch.randn(2, 6, 4, 4)]
    heads = PatchHeads((3, 6))
    places = draw_places(maps, 20, torch_generator(0, "places"))
    assert [len(p) for p in places] == [20, 16]
    assert all(len(set(p.tolist())) == len(p) for p in places)
    found = heads(maps, places)
    assert [f.shape for f in found] == [(2, 20, 256), (2, 16, 256)]
    y, x = divmod(int(places[0][3]), 8)
    alone = functional.normalize(heads.heads[0](maps[0][:, :, y, x]), dim=1)
    torch.testing.assert_close(found[0][:, 3], alone)
    torch.testing.assert_close(found[0].norm(dim=2), torch.ones(2, 20))


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_encoder_features_are_those_of_the_generators_own_pass(blocks: int) -> None:
    network = ResnetGenerator(4, blocks, output="residual", residual_scale=2)
    initialise(network, torch_generator(0, "g"))
    images = random_images(1)
    kept = {}
    for place, layer in enumerate(network.body):
        layer.register_forward_hook(lambda _m, _i, out, place=place: kept.update({place: out}))
    maps = network.features(images)
    assert [m.shape[1] for m in maps] == list(network.feature_channels)
    torch.testing.assert_close(maps[0], functional.avg_pool2d(images, 2))
    assert (maps[1].shape[-1], maps[2].shape[-1]) == (8, 4)
    network(images)
    for found, place in zip(maps[1:4], (5, 8, 9), strict=True):
        torch.testing.assert_close(found, kept[place])


def test_a_gate_starts_open_and_a_closed_one_leaves_the_global_colour_only() -> None:
    network = ResnetGenerator(4, 1, output="residual", gated=True)
    initialise(network, torch_generator(0, "g"))
    images = random_images(0) * 0.8
    output, gate = network.with_gate(images)
    torch.testing.assert_close(output, images, atol=1e-5, rtol=0)
    assert gate is not None
    assert torch.sigmoid(gate).min() > 0.8
    with torch.no_grad():
        network.last.bias[:3] = 0.4
        network.last.bias[3] = -50
        network.colour.start_at(torch.zeros(3, 6), torch.tensor([0.1, 0.1, 0.1]))
    closed = network(images)
    with torch.no_grad():
        network.last.bias[:3] = 0
    torch.testing.assert_close(closed, network(images))
    assert (closed - images).abs().min() > 0


def test_gate_loss_wants_lesions_closed_and_skin_open() -> None:
    masks = torch.zeros(1, 1, 32, 32)
    masks[..., 10:20, 10:20] = 1
    right, wrong = 8 - 16 * masks, 16 * masks - 8
    assert gate_loss(right, masks) < 1.0 < gate_loss(wrong, masks)
    flat = gate_loss(torch.zeros(1, 1, 32, 32), masks)
    assert float(flat) == pytest.approx(math.log(2))


def test_semantic_loss_is_the_divergence_from_what_was_said() -> None:
    before, after = torch.randn(3, 4), torch.randn(3, 4)
    p, q = before.softmax(1), after.softmax(1)
    expected = (p * (p / q).log()).sum(dim=1).mean()
    assert float(semantic_loss(before, after)) == pytest.approx(float(expected), rel=1e-5)
    assert float(semantic_loss(before, before)) == pytest.approx(0, abs=1e-6)


def test_noise_has_its_strength_and_follows_the_draws() -> None:
    images = torch.zeros(4, 3, 64, 64)
    first, again = (with_noise(images, torch_generator(5, "n")) for _ in range(2))
    assert torch.equal(first, again)
    assert float(first.std()) == pytest.approx(0.04, rel=0.05)


def test_jpeg_passes_gradients_and_removes_a_hidden_chessboard() -> None:
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    hidden = 0.02 * (((x + y) % 2) * 2 - 1).float().expand(2, 3, 32, 32)
    images = hidden.clone().requires_grad_()
    stored = with_jpeg(images, torch_generator(0, "q"))
    stored.sum().backward()
    assert images.grad is not None
    assert torch.equal(images.grad, torch.ones_like(images))
    assert stored.detach().std() < 0.3 * hidden.std()


@pytest.mark.parametrize(
    "options",
    [
        {"preserve": "none"},
        {"preserve": "blind"},
        {"preserve": "mask,gated", "against_hiding": "jpeg"},
        {"preserve": "semantic,contrast", "against_hiding": "noise"},
        {"objective": "cut", "preserve": "mask,gated", "nce_locations": 16},
        {"objective": "cut", "preserve": "none", "output": "published"},
    ],
)
def test_every_combination_learns_and_resumes_exactly(
    tmp_path: Path, options: dict[str, str] | dict[str, str | int]
) -> None:
    config = CycleGanConfig(**{**TINY, **options})
    weights = torch.randn(3, 3, generator=torch_generator(0, "w"))

    def classify(images: Any) -> Any:
        return images.mean(dim=(2, 3)) @ weights * 5

    source, target = domain(0, True), domain(1)

    def learn(name: Any, steps: Any) -> Any:
        adversaries, losses = Adversaries(config, CPU_FP32, classify), []
        with RunDir.start(tmp_path / name, "cyclegan", config, {}) as run:
            loop = TrainingLoop(run, Budget(steps), checkpoint_seconds=1e9)
            adversaries.register_in(loop)

            def update(step: Any) -> Any:
                values = adversaries.update(step, step / config.steps, source, target)
                losses.append({name: float(value) for name, value in values.items()})
                return values

            loop.run(update)
        return adversaries, losses

    before = Adversaries(config, CPU_FP32, classify).networks["forward"].state_dict()
    whole, expected = learn("whole", 4)
    _, found = learn("parts", 2)
    resumed, more = learn("parts", 4)
    found += more
    assert found == expected
    assert all(math.isfinite(v) for step in found for v in step.values())
    after = whole.networks["forward"].state_dict()
    assert any(not torch.equal(before[k], after[k]) for k in before)
    for name, network in whole.networks.items():
        for one, two in zip(network.parameters(), resumed.networks[name].parameters(), strict=True):
            assert torch.equal(one, two), name
    wanted = {"contrast": "preservation", "gated": "gate", "semantic": "semantic"}
    for way, loss in wanted.items():
        assert config.keeps(way) == (loss in found[0])
    assert ("cycled" in whole.shown(source.pixels)) == (config.objective == "cyclegan")


def test_the_gate_learns_where_the_lesions_are() -> None:
    options = {"preserve": "gated", "gate_weight": 30.0, "learning_rate": 0.004}
    config = CycleGanConfig(**TINY | options | {"residual_scale": 1, "steps": 200})
    source, target = (
        Domain(torch.full((4, 3, 32, 32), 150, dtype=torch.uint8), domain(0, masked).masks)
        for masked in (True, False)
    )
    source.pixels[:, 1:, 8:20, 8:20] = 40
    adversaries = Adversaries(config, CPU_FP32)
    losses = [
        float(adversaries.update(step, step / config.steps, source, target)["gate"])
        for step in range(50)
    ]
    images = source.pixels.float() / 127.5 - 1
    gate = torch.sigmoid(adversaries.networks["forward"].with_gate(images)[1])[:, 0]
    inside, outside = gate[:, 10:18, 10:18].mean(), gate[:, :5].mean()
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert inside < 0.3
    assert outside > 0.7


def test_wrong_settings_are_refused_in_a_sentence() -> None:
    for options, words in (
        ({"preserve": "masks"}, "preserve is none, or of mask"),
        ({"preserve": "none,mask"}, "preserve is none, or of mask"),
        ({"preserve": "gated", "output": "published"}, "needs output residual"),
    ):
        with pytest.raises(InputError, match=words):
            CycleGanConfig.from_sources(None, options)
    config = CycleGanConfig(objective="cyclegan", preserve="mask, gated")
    assert config.preserve == "mask,gated"
    assert [config.keeps(w) for w in ("blind", "contrast", "gated", "semantic")] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("shape", [(40, 30), (7, 90), (13, 13)])
def test_rows_of_an_enlargement_are_those_of_the_whole(shape: tuple[int, int]) -> None:
    values = torch.randn(1, 3, 6, 9)
    whole = functional.interpolate(values, shape, mode="bilinear")
    parts = [
        enlarged_rows(values, range(start, min(shape[0], start + 5)), *shape)
        for start in range(0, shape[0], 5)
    ]
    torch.testing.assert_close(torch.cat(parts, dim=2), whole, atol=1e-5, rtol=0)


def test_a_kept_an_erased_and_an_invisible_lesion_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    skin = np.clip(np.array([205, 160, 135]) + rng.normal(0, 3, (80, 80, 3)), 0, 255).astype(
        np.uint8
    )
    mask = np.zeros((80, 80), bool)
    mask[30:50, 30:50] = True
    before = skin.copy()
    before[mask] = (190, 80, 80)
    darker = (before * 0.85).astype(np.uint8)
    assert look_at(before, darker, mask)["lesion_kept"] == "yes"
    assert look_at(before, skin, mask)["lesion_kept"] == "no"
    assert look_at(before, darker, None)["lesion_kept"] == "yes"
    assert look_at(skin, skin, mask)["lesion_kept"] == "unknown"
    tones = [float(look_at(p, p, mask)["ita"]) for p in (before, darker)]
    assert tones[1] < tones[0] - 10
