import math

import pytest
import torch

from hzsynth.gan import losses


def test_hinge_by_hand() -> None:
    real, fake = torch.tensor([[2.0, 0.5]]), torch.tensor([[-2.0, 0.5]])
    assert losses.hinge_discriminator_loss(real, fake).item() == pytest.approx(0.25 + 0.75)
    assert losses.hinge_generator_loss(fake).item() == pytest.approx(0.75)


def test_logistic_by_hand() -> None:
    real, fake = torch.tensor([[0.3]]), torch.tensor([[-1.2]])

    def sigmoid(v: float) -> float:
        return 1 / (1 + math.exp(-v))

    expected = -math.log(sigmoid(0.3)) - math.log(1 - sigmoid(-1.2))
    assert losses.logistic_discriminator_loss(real, fake).item() == pytest.approx(expected)
    generator = losses.logistic_generator_loss(fake).item()
    assert generator == pytest.approx(-math.log(sigmoid(-1.2)))


def test_r1_of_a_quadratic_discriminator_is_known() -> None:
    # D(x) = a sum(x^2) has the gradient 2 a x, so R1 is 4 a^2 |x|^2 and its slope 8 a |x|^2.
    images = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    a = torch.tensor(0.7, requires_grad=True)
    logits = a * images.square().flatten(1).sum(dim=1, keepdim=True)
    penalty = losses.r1_penalty(logits, images)
    energy = images.detach().square().sum().item() / 3
    assert penalty.item() == pytest.approx(4 * 0.7**2 * energy, rel=1e-5)
    (slope,) = torch.autograd.grad(penalty, a)
    assert slope.item() == pytest.approx(8 * 0.7 * energy, rel=1e-5)


def test_path_lengths_of_a_linear_generator_are_known() -> None:
    # image = A w (one layer), so J^T y is A^T y, computed here without autograd.
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(3 * 4 * 4, 5, generator=generator)
    w = torch.randn(2, 1, 5, generator=generator, requires_grad=True)
    direction = torch.randn(2, 3, 4, 4, generator=generator)
    images = (w[:, 0] @ matrix.t()).reshape(2, 3, 4, 4)
    lengths = losses.path_lengths(images, w, direction)
    expected = (direction.flatten(1) @ matrix / 4.0).norm(dim=1)
    torch.testing.assert_close(lengths.detach(), expected)


def test_path_length_penalty_moves_its_mean() -> None:
    lengths = torch.tensor([1.0, 3.0], requires_grad=True)
    penalty, mean = losses.path_length_penalty(lengths, torch.tensor(1.0), decay=0.5)
    assert mean.item() == pytest.approx(1.5)
    assert not mean.requires_grad
    assert penalty.item() == pytest.approx((0.25 + 2.25) / 2)
