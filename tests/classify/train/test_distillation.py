import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d, gaussian_filter1d
from scipy.special import rel_entr, softmax
from scipy.stats import norm

from hzsynth.augment.strategies import Augmenter
from hzsynth.classify.models import PixelNetwork, head_of, normalisation, normalise, to_unit
from hzsynth.classify.train.batches import Batch, Batches
from hzsynth.classify.train.corruptions import CORRUPTIONS, corrupt, gaussian_blur
from hzsynth.classify.train.distillation import (
    CorruptedBatches,
    Distillation,
    StudentLosses,
    Teacher,
    TeacherAnswers,
    corruption_strength,
    curriculum,
    distillation_losses,
    ensemble_probabilities,
)
from hzsynth.classify.train.loading import LabelledImages
from hzsynth.classify.train.variation import Variation
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.seeding import torch_generator
from tests.classify.conftest import tiny_network


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_distillation_loss_by_hand() -> None:
    """Two classes at T = 2: p_T = sigmoid of half the logit, all in closed form."""
    student = torch.tensor([[0.0, 2.0]], dtype=torch.float64)
    teachers = ensemble_probabilities(torch.tensor([[[0.0, 4.0]], [[0.0, 0.0]]]).double(), 2.0)
    p = (1 / (1 + np.exp(-2.0)) + 0.5) / 2
    q = 1 / (1 + np.exp(-1.0))
    divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    supervised = np.log(1 + np.exp(-2.0))
    losses = distillation_losses(student, torch.tensor([1]), teachers, Distillation(0.7, 2.0))
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(
        {
            "loss": 0.3 * supervised + 0.7 * 4 * divergence,
            "label_loss": supervised,
            "teacher_loss": 4 * divergence,
        },
        rel=1e-12,
    )


def test_distillation_loss_against_scipy() -> None:
    student, answers = _normal(6, 5), 3 * _normal(3, 6, 5, seed=1)
    targets = torch.tensor([0, 1, 2, 3, 4, 0])
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0])
    p = softmax(answers.numpy() / 4, axis=2).mean(0)
    q = softmax(student.numpy() / 4, axis=1)
    own = -np.log(softmax(student.numpy(), axis=1)[np.arange(6), targets.numpy()])
    w = weights.numpy()[targets.numpy()]
    expected = 0.4 * (w * own).sum() / w.sum() + 0.6 * 16 * rel_entr(p, q).sum(1).mean()
    how = Distillation(0.6, 4.0, weights)
    losses = distillation_losses(student, targets, ensemble_probabilities(answers, 4.0), how)
    assert float(losses["loss"]) == pytest.approx(expected, rel=1e-5)


def test_a_student_that_agrees_with_its_teachers_has_no_distillation_gradient() -> None:
    student = _normal(4, 3).requires_grad_()
    teachers = ensemble_probabilities(student.detach()[None], 3.0)
    targets = torch.zeros(4, dtype=torch.int64)
    loss = distillation_losses(student, targets, teachers, Distillation(1.0, 3.0))["loss"]
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-6


def test_the_ensembles_answer_is_the_mean_of_probabilities_not_of_logits() -> None:
    logits = torch.tensor([[[8.0, 0.0]], [[0.0, 0.0]]])
    expected = (1 / (1 + np.exp(-8.0)) + 0.5) / 2
    assert float(ensemble_probabilities(logits, 1.0)[0, 0]) == pytest.approx(expected)


def test_curriculum_follows_the_definition() -> None:
    line = ("weak", "middle", "strong")
    assert curriculum(line, "weak-to-strong") == (
        (),
        ("weak",),
        ("weak", "middle"),
        ("weak", "middle", "strong"),
    )
    assert curriculum(line, "strong-to-weak") == (
        (),
        ("strong",),
        ("strong", "middle"),
        ("strong", "middle", "weak"),
    )
    assert curriculum(line, "all-at-once") == ((), line)


def test_corruption_strength_ramps_from_clean_to_the_strongest() -> None:
    ramp = [corruption_strength(step, 5, "ramp", 0.8) for step in range(5)]
    assert ramp == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert corruption_strength(4, 5, "none", 0.8) == 0
    assert corruption_strength(0, 5, "constant", 0.8) == 0.8
    assert corruption_strength(0, 1, "ramp", 0.8) == 0


# --- corruptions


def _images(count: int = 64, size: int = 32) -> torch.Tensor:
    rng = np.random.default_rng(0)
    noise = gaussian_filter1d(
        gaussian_filter1d(rng.normal(size=(count, 3, size, size)), 2, 2), 2, 3
    )
    return torch.from_numpy(np.clip(0.5 + 0.15 * noise / noise.std(), 0, 1)).float()


def test_no_strength_changes_nothing_and_the_seed_decides_the_rest() -> None:
    images = _images()
    assert torch.equal(corrupt(images, 0.0, torch.Generator().manual_seed(1)), images)
    first, again, other = (
        corrupt(images, 0.7, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1
    assert all(not torch.equal(a, b) for a, b in zip(first, images, strict=True))


def test_images_stray_further_the_stronger_the_corruption() -> None:
    images = _images()
    errors = [
        float((corrupt(images, s, torch.Generator().manual_seed(3)) - images).abs().mean())
        for s in (0.1, 0.3, 0.6, 1.0)
    ]
    assert errors == sorted(errors)
    assert errors[-1] > 4 * errors[0]


def test_every_kind_occurs_with_what_it_promises() -> None:
    """On a flat grey picture noise spreads, brightness shifts, blur and contrast do nothing."""
    flat = torch.full((400, 3, 32, 32), 0.5)
    out = corrupt(flat, 1.0, torch.Generator().manual_seed(0))
    spread = out.std(dim=(1, 2, 3))
    shift = (out.mean(dim=(1, 2, 3)) - 0.5).abs()
    noisy, shifted = spread > 1e-3, (spread < 1e-3) & (shift > 1e-4)
    share = 1 / len(CORRUPTIONS)
    assert abs(float(noisy.float().mean()) - share) < 0.07
    assert abs(float(shifted.float().mean()) - share) < 0.07
    assert 0.2 < float(spread.max()) <= 0.25
    assert 0.3 < float(shift.max()) <= 0.35
    # Of the four only contrast keeps the mean and is an affine map of the pixels.
    grains = 0.5 + 0.05 * _normal(400, 3, 32, 32)
    out = corrupt(grains, 1.0, torch.Generator().manual_seed(0))
    before = grains - grains.mean(dim=(2, 3), keepdim=True)
    after = out - out.mean(dim=(2, 3), keepdim=True)
    slope = (before * after).sum(dim=(2, 3)) / before.square().sum(dim=(2, 3))
    rest = (after - slope[..., None, None] * before).abs().amax(dim=(1, 2, 3))
    contrasted = (rest < 1e-5) & ((out - grains).mean(dim=(2, 3)).abs().amax(1) < 1e-5)
    assert abs(float(contrasted.float().mean()) - share) < 0.07
    assert 0.3 <= float(slope[contrasted].min()) < 0.35
    assert float(slope[contrasted].max()) <= 1


def test_blur_against_scipy() -> None:
    images = _images(3, 48)
    strengths = torch.tensor([0.02, 0.4, 1.0])
    blurred = gaussian_blur(images, strengths, torch.ones(3))
    edges = np.arange(-5, 7) - 0.5
    for number, strength in enumerate((0.02, 0.4, 1.0)):
        kernel = np.diff(norm.cdf(edges, scale=np.sqrt(strength) * 0.03 * 48))
        expected = images[number].numpy().astype(np.float64)
        for axis in (1, 2):
            expected = convolve1d(expected, kernel / kernel.sum(), axis, mode="mirror")
        np.testing.assert_allclose(blurred[number], expected, atol=1e-5)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_a_weak_blur_already_blurs_whatever_the_size(size: int) -> None:
    """A tenth of the strength counts; a Gaussian sampled at the pixels leaves small pictures alone."""
    images = _images(1, size)
    changes = [
        float((gaussian_blur(images, torch.tensor([s]), torch.ones(1)) - images).abs().mean())
        for s in (0.02, 0.1, 0.5, 1.0)
    ]
    assert changes == sorted(changes)
    assert changes[1] > 0.01 * changes[-1]


# --- teachers' answers


def _teacher(name: str, seed: int) -> Teacher:
    network = tiny_network(seed).eval().requires_grad_(False)
    head_of(network).weight.copy_(_normal(*head_of(network).weight.shape, seed=seed))
    scale = normalisation("test_efficientnet")
    return Teacher(name, PixelNetwork(network, scale, CPU_FP32))


def _training_images() -> LabelledImages:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8))
    return LabelledImages(pixels, torch.tensor([0, 1, 0, 1, 0, 1]))


@pytest.mark.parametrize("variation", [None, Variation(Augmenter(), 0)])
def test_looked_up_answers_are_those_of_the_batchs_own_views(variation: Variation | None) -> None:
    images, teachers = _training_images(), [_teacher("a", 1), _teacher("b", 2)]
    batch = Batches(images, 5, 0, balanced=False, flip=True, variation=variation)[1]
    assert 0 < batch.flipped.sum() < 5
    assert batch.varied == (variation is not None)
    view = to_unit(batch.pixels, CPU_FP32)
    noisy = corrupt(view, 1.0, torch.Generator().manual_seed(0))
    clean = TeacherAnswers(teachers, images.pixels, mirrored=True, view="clean")
    asked = TeacherAnswers(teachers, images.pixels, mirrored=True, view="noisy")
    for names in (("b",), ("b", "a")):
        for answers, seen in ((clean, view), (asked, noisy)):
            with torch.no_grad():
                expected = [
                    t.network.network(normalise(seen, *t.network.normalisation))
                    for name in names
                    for t in teachers
                    if t.name == name
                ]
            torch.testing.assert_close(
                answers(names, batch, noisy), torch.stack(expected), atol=1e-4, rtol=1e-4
            )


def _student_loss(names: tuple[str, ...], strength: float, alpha: float) -> tuple[float, Batch]:
    images = _training_images()
    student = _teacher("student", 9)
    batches = Batches(images, 4, 0, balanced=False, flip=True)
    losses = StudentLosses(
        student.network,
        CorruptedBatches(batches, 3, "constant", strength, 0),
        names,
        TeacherAnswers([_teacher("a", 1)], images.pixels, mirrored=True, view="clean"),
        Distillation(alpha, 2.0, torch.ones(2)),
    )
    return float(losses(1)["loss"]), batches[1]


def test_a_stage_without_teachers_is_cross_entropy_and_alpha_one_ignores_the_classes() -> None:
    value, batch = _student_loss((), 0.0, 0.7)
    student, teacher = _teacher("student", 9), _teacher("a", 1)
    inputs = normalise(to_unit(batch.pixels, CPU_FP32), *student.network.normalisation)
    q = student.network.network(inputs).numpy()
    rows = np.arange(4)
    expected = -np.log(softmax(q, 1)[rows, batch.targets.numpy()]).mean()
    assert value == pytest.approx(expected, rel=1e-4)
    taught, _ = _student_loss(("a",), 0.0, 1.0)
    p = softmax(teacher.network.network(inputs).numpy() / 2, 1)
    assert taught == pytest.approx(4 * rel_entr(p, softmax(q / 2, 1)).sum(1).mean(), rel=1e-3)
    noisy, _ = _student_loss((), 1.0, 0.7)
    view = corrupt(
        to_unit(batch.pixels, CPU_FP32), 1.0, torch_generator(0, "classify", "corruption", 1)
    )
    q = student.network.network(normalise(view, *student.network.normalisation)).numpy()
    expected = -np.log(softmax(q, 1)[rows, batch.targets.numpy()]).mean()
    assert noisy == pytest.approx(expected, rel=1e-5)
    assert noisy != value
