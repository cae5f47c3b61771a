from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional

from hzsynth.classify.models import (
    MODEL,
    PixelNetwork,
    create_network,
    head_of,
    load_classifier,
    normalisation,
)
from hzsynth.classify.train.batches import Batches, class_weights
from hzsynth.classify.train.classifier import (
    ClassifyResult,
    classifier_phases,
    train_classifier,
)
from hzsynth.classify.train.config import ClassifyConfig
from hzsynth.classify.train.finetuning import (
    LinearProbe,
    Phase,
    linear_steps,
    make_optimiser,
    rate_factor,
    set_mode,
)
from hzsynth.classify.train.fitting import Fitting
from hzsynth.classify.train.loading import LabelledImages, load_training_data
from hzsynth.classify.train.selection import Choice, rank, validation_scores
from hzsynth.core.checkpoint import load_checkpoint
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError, RefusedError, TrainingDivergedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from tests.classify.conftest import MODEL as MODEL_NAME
from tests.classify.conftest import StopsAt, classify_config, tiny_network

FILE = f"{MODEL_NAME}.pth"


def train(path: Path, images: ImageSet, config: ClassifyConfig, **options: Any) -> ClassifyResult:
    with RunDir.start(path, "classify", config, {"images": images.digest}) as run:
        return train_classifier(images, config, run, **options)


def weights_of(run: RunDir) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = load_checkpoint(run.path / MODEL, "classifier")["weights"]
    return state


def assert_equal_runs(whole: RunDir, resumed: RunDir) -> None:
    """Bitwise equal weights, and the same reports."""
    first, second = weights_of(whole), weights_of(resumed)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert whole.metrics() == resumed.metrics()


# --- exact resume


@pytest.mark.parametrize(
    ("step", "where"),
    [(2, "linear phase"), (4, "between the phases"), (5, "full phase"), (8, "at the end")],
)
def test_an_interrupted_training_ends_bitwise_as_an_uninterrupted_one(
    tmp_path: Path, photographs: ImageSet, weights: Path, step: int, where: str
) -> None:
    config = classify_config(weights)
    whole = train(tmp_path / "whole", photographs, config)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", photographs, config, progress=StopsAt("training", step))
    rest = StopsAt("training")
    resumed = train(tmp_path / "cut", photographs, config, progress=rest)
    assert rest.steps == config.steps - step  # it went on and did not start anew
    assert {m["phase"] for m in whole.run.metrics()} == {"linear probing", "full fine-tuning"}
    assert (resumed.best_step, resumed.validation) == (whole.best_step, whole.validation)
    assert_equal_runs(whole.run, resumed.run)


def test_training_from_scratch_with_running_statistics_resumes_exactly(
    tmp_path: Path, photographs: ImageSet
) -> None:
    config = classify_config(None, finetune="full", average=False, balanced_sampler=True)
    whole = train(tmp_path / "whole", photographs, config)
    for step in (3, 2):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", photographs, config, progress=StopsAt("training", step))
    assert_equal_runs(whole.run, train(tmp_path / "cut", photographs, config).run)


def test_a_kill_falls_back_to_the_last_timed_checkpoint_and_still_ends_the_same(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    class Killed(StopsAt):
        def stop(self) -> None:
            raise RuntimeError("killed")

    config = classify_config(weights, checkpoint_seconds=0)
    whole = train(tmp_path / "whole", photographs, config)
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path / "cut", photographs, config, progress=Killed("training", 6))
    assert load_checkpoint(tmp_path / "cut" / "checkpoint.safetensors", "classify")["step"] == 6
    assert_equal_runs(whole.run, train(tmp_path / "cut", photographs, config).run)


# --- learning


def test_it_learns_what_can_be_seen_and_reports_the_saved_networks_scores(
    tmp_path: Path, photographs: ImageSet
) -> None:
    config = classify_config(None, finetune="full", steps=60, learning_rate=2e-3, seed=1)
    result = train(tmp_path / "run", photographs, config)
    classifier = load_classifier(result.run)
    for split, least in (("val", 1.0), ("test", 5 / 6)):
        part = photographs.select(split=split)
        predicted = classifier.probabilities(load_pixels(part, 32)).argmax(1)
        hits = [classifier.labels[p] == r.label for p, r in zip(predicted, part, strict=True)]
        assert sum(hits) / len(hits) >= least
    part = photographs.select(split="val")
    logits = classifier.logits(load_pixels(part, 32))
    truth = torch.tensor([classifier.labels.index(r.label) for r in part])
    assert result.validation == pytest.approx(validation_scores(logits, truth, 1), abs=1e-5)
    assert result.run.result["validation"] == result.validation
    roles = Counter(image.role for image in result.run.training_images())
    assert roles == {"learned": 16, "validated": 6}


def test_linear_probing_changes_the_head_only_and_nears_the_best_linear_classifier(
    photographs: ImageSet,
) -> None:
    data = load_training_data(photographs, 32, "zoster")
    network = tiny_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    weights = class_weights(data.train.targets, 2, False)
    asked = PixelNetwork(network, normalisation("test_efficientnet"), CPU_FP32)
    images = data.train.pixels
    probe = LinearProbe(asked, lambda: images, data.train.targets, weights)
    phase = Phase("linear probing", 800, False, 0.0, 0.3, probe)
    set_mode(network, phase, freeze_statistics=False)
    optimiser = make_optimiser(network, phase, weight_decay=0.01)
    for group in optimiser.param_groups:
        group["weight_decay"] = 0.01
    for step in range(phase.steps):
        for group in optimiser.param_groups:
            group["lr"] = phase.head_rate * rate_factor(step, phase.steps)
        optimiser.zero_grad()
        probe(step)["loss"].backward()
        optimiser.step()
    changed = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {"classifier.weight", "classifier.bias"}
    # The same problem by another solver: two classes with an L2 penalty of 0.01 / 2 on both rows
    # of the head are one row with half of it; the intercept of both is (almost) free.
    features, count = probe.features.numpy(), len(data.train)
    solver = LogisticRegression(C=1 / (0.005 * count), max_iter=5000, tol=1e-8)
    solver.fit(features, data.train.targets.numpy())
    row = head_of(network).weight.detach()
    torch.testing.assert_close(
        row[1] - row[0], torch.from_numpy(solver.coef_[0]).float(), atol=0.03, rtol=0.05
    )


def test_full_phase_keeps_pretrained_statistics_and_trains_everything_else() -> None:
    network = tiny_network()
    phase = Phase("full fine-tuning", 1, True, 1e-4, 1e-4, lambda step: {"loss": torch.zeros(())})
    set_mode(network, phase, freeze_statistics=True)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(m.training for m in norms)
    assert all(p.requires_grad for p in network.parameters())
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    set_mode(network, phase, freeze_statistics=False)
    network(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert any(not torch.equal(value, before[name]) for name, value in network.named_buffers())


def test_patience_ends_the_training_early(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    # With so small rates nothing is gained any more but in the loss's last digits.
    changes = {"finetune": "full", "learning_rate": 1e-12, "head_learning_rate": 1e-12}
    config = classify_config(weights, steps=40, evaluate_every=2, patience=3, **changes)
    result = train(tmp_path / "run", photographs, config)
    scores = [(m["validation_macro_f1"], -m["validation_loss"]) for m in result.run.metrics()]
    best = scores.index(max(scores))
    assert result.steps == 2 * (best + 1 + 3) < 40
    assert result.best_step == 2 * (best + 1)


def test_diverged_training_is_an_error(tmp_path: Path, photographs: ImageSet) -> None:
    config = classify_config(None, finetune="full", learning_rate=1e30, head_learning_rate=1e30)
    with pytest.raises(TrainingDivergedError, match="not a number"):
        train(tmp_path / "run", photographs, config)


# --- parts


def test_strategies_share_the_steps() -> None:
    assert linear_steps("linear", 10, 0.5) == 10
    assert linear_steps("full", 10, 0.5) == 0
    assert linear_steps("lp-ft", 10, 0.3) == 3
    assert linear_steps("lp-ft", 2, 0.99) == 1
    assert linear_steps("lp-ft", 1, 0.5) == 0


def test_learning_rate_warms_up_and_falls_to_five_percent() -> None:
    factors = [rate_factor(step, 100) for step in range(100)]
    assert factors[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert factors[10] == 1.0
    assert factors[55] == pytest.approx(0.525)
    assert 0.05 < factors[-1] < 0.0505
    assert rate_factor(0, 1) == 1.0


def test_batches_walk_through_every_image_once_an_epoch_whatever_their_size() -> None:
    images = LabelledImages(
        torch.arange(7, dtype=torch.uint8).view(7, 1, 1, 1).expand(7, 3, 2, 2),
        torch.tensor([0, 0, 0, 0, 0, 1, 1]),
    )
    small = Batches(images, 3, 5, balanced=False, flip=False)
    walk = torch.cat([small[step].indices for step in range(14)])
    for epoch in walk.split(7):
        assert sorted(epoch.tolist()) == list(range(7))
    assert not torch.equal(walk[:7], walk[7:14])
    larger = Batches(images, 21, 5, balanced=False, flip=False)
    assert torch.equal(torch.cat([larger[0].indices, larger[1].indices]), walk)
    batch = small[3]
    assert torch.equal(batch.pixels[:, 0, 0, 0].long(), batch.indices)
    assert torch.equal(batch.targets, images.targets[batch.indices])
    assert torch.equal(small[3].indices, batch.indices)


def test_half_of_the_views_are_mirrored_and_the_balanced_sampler_balances() -> None:
    pixels = torch.zeros(10, 3, 2, 2, dtype=torch.uint8)
    pixels[..., 0] = 9
    images = LabelledImages(pixels, torch.tensor([0] * 9 + [1]))
    batches = Batches(images, 400, 0, balanced=True, flip=True)
    batch = batches[0]
    assert 0.4 < batch.flipped.float().mean() < 0.6
    assert torch.equal(batch.pixels[:, 0, 0, 1] == 9, batch.flipped)
    assert 0.4 < batch.targets.float().mean() < 0.6


def test_balanced_class_weights_give_every_class_the_same_share() -> None:
    targets = torch.tensor([0] * 6 + [1] * 2)
    weights = class_weights(targets, 2, True)
    torch.testing.assert_close(weights, torch.tensor([8 / 12, 8 / 4]))
    assert torch.equal(class_weights(targets, 2, False), torch.ones(2))


def test_validation_scores_by_hand_and_how_checkpoints_are_ranked() -> None:
    logits = torch.log(torch.tensor([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9]]))
    truth = torch.tensor([0, 1, 1, 1])
    scores = validation_scores(logits, truth, 1)
    expected = {
        "loss": float(-torch.log(torch.tensor([0.7, 0.8, 0.4, 0.9])).mean()),
        "accuracy": 3 / 4,
        "macro_f1": (2 / 3 + 4 / 5) / 2,
        "f1_target": 4 / 5,
    }
    assert scores == pytest.approx(expected)
    assert float(functional.cross_entropy(logits, truth)) == pytest.approx(scores["loss"])
    assert rank(scores) > rank({**scores, "loss": scores["loss"] + 0.1})
    assert rank({**scores, "loss": 9.0}) > rank({**scores, "macro_f1": 0.5})


# --- refusals


def test_what_cannot_be_trained_on_is_refused(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    def attempt(images: ImageSet, match: str, **changes: Any) -> None:
        with pytest.raises(InputError, match=match):
            train(tmp_path / "run", images, classify_config(weights, **changes))
        for file in (tmp_path / "run").iterdir():
            file.unlink()

    whole = photographs.replace_records([replace(r, split="") for r in photographs])
    attempt(whole, "hzsynth data split")
    attempt(photographs.replace_records([r for r in photographs if r.split != "val"]), "val split")
    unseen = [r for r in photographs if r.split != "train" or r.label == "zoster"]
    attempt(photographs.replace_records(unseen), "no training image of the class 'eczema'")
    attempt(photographs, "not a class", label="measles")
    attempt(photographs.select(label="zoster"), "one class only")
    attempt(photographs, "ImageNet weights", pretrained="imagenet")
    attempt(photographs, "not known to timm", model="resnet-of-dreams")


def test_fp16_is_refused(tmp_path: Path, photographs: ImageSet, weights: Path) -> None:
    compute = Compute(torch.device("cpu"), "fp16")
    with pytest.raises(InputError, match="fp16"):
        train(tmp_path / "run", photographs, classify_config(weights), compute=compute)


def test_a_leaking_set_is_refused_before_anything_is_trained(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    test = photographs.select(split="test").records[0]
    leak = replace(test, split="train")
    leaking = photographs.replace_records([*photographs, leak])
    with pytest.raises(RefusedError, match="the same file"):
        train(tmp_path / "run", leaking, classify_config(weights))
    assert not (tmp_path / "run" / MODEL).exists()


def test_a_network_starts_from_its_seed(photographs: ImageSet, tmp_path: Path) -> None:
    runs = [
        train(tmp_path / name, photographs, classify_config(None, finetune="full", seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert_equal_runs(runs[0].run, runs[1].run)
    first, other = weights_of(runs[0].run), weights_of(runs[2].run)
    assert any(not torch.equal(first[name], other[name]) for name in first)


# --- blending with the linear-probed network


def test_a_blend_lies_between_the_probed_and_the_fine_tuned_network(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    data = load_training_data(photographs, 32, "zoster")

    def ended(blend: float) -> dict[str, torch.Tensor]:
        config = classify_config(weights, evaluate_every=100)
        network = create_network(
            config.model, classes=2, pretrained=config.pretrained, seed=config.seed
        )
        asked = PixelNetwork(network, normalisation(config.model), CPU_FP32)
        with RunDir.start(tmp_path / f"blend-{blend}", "classify", config, {}) as run:
            fitting = Fitting(
                asked,
                classifier_phases(asked, data, config),
                data,
                config,
                run,
                freeze_statistics=True,
                choice=Choice(blends=(blend,)),
            )
            fitted = fitting.to_the_end(SILENT, "")
        assert fitted.blend == blend
        return fitted.network.state_dict()

    probed, half, tuned = ended(0.0), ended(0.5), ended(1.0)
    start = create_network(MODEL_NAME, classes=2, pretrained=str(weights / FILE), seed=0)
    body = [name for name, _ in start.named_parameters() if "classifier" not in name]
    assert all(torch.equal(probed[name], start.state_dict()[name]) for name in body)
    moved = [name for name in body if not torch.equal(probed[name], tuned[name])]
    assert len(moved) > 10
    for name in moved:
        torch.testing.assert_close(half[name], (probed[name] + tuned[name]) / 2)


def test_only_lp_ft_from_pretrained_weights_is_blended(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    def kept(name: str, given: Path | None, **changes: Any) -> Any:
        config = classify_config(given, checkpoint_seconds=0, **changes)
        run = train(tmp_path / name, photographs, config).run
        return run.load_checkpoint()["selection"]["probed"]

    assert kept("probed", weights) is not None
    assert kept("whole", weights, blend=1.0) is None
    assert kept("full", weights, finetune="full") is None
    assert kept("scratch", None) is None


def test_the_blend_is_the_one_that_does_best_on_validation(
    tmp_path: Path, photographs: ImageSet, weights: Path
) -> None:
    """Fine-tuning that destroys everything is not blended in at all, one that learns is."""
    harmful = classify_config(weights, learning_rate=1.0, average=False)
    result = train(tmp_path / "harmful", photographs, harmful)
    assert result.blend == 0
    assert result.run.result["blend"] == 0
    fixed = [
        rank(
            train(
                tmp_path / f"fixed-{blend}", photographs, classify_config(weights, blend=blend)
            ).validation
        )
        for blend in (0.25, 0.5, 0.75)
    ]
    free = train(tmp_path / "free", photographs, classify_config(weights))
    assert rank(free.validation) >= max(fixed)


# --- settings that contradict one another


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"balanced_sampler": True, "class_weights": "balanced"}, "twice over"),
        ({"loss": "focal", "label_smoothing": 0.1}, "belongs to cross-entropy"),
        ({"finetune": "linear", "robust": "gnt"}, "while the body learns"),
        ({"finetune": "linear", "mix": "mixup"}, "while the body learns"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(
    changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        classify_config(None, **changes)
