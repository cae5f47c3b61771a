"""Descent in fp16: scaled gradients, skipped overflows, a state that goes on."""

import pytest
import torch

from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.nets.loss_scaling import Descent

FP16 = Compute(torch.device("cpu"), "fp16")


def one(compute: Compute) -> tuple[torch.nn.Parameter, Descent]:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    return weight, Descent(torch.optim.SGD([weight], 0.1), compute)


@pytest.mark.parametrize("compute", [CPU_FP32, FP16])
def test_a_step_is_that_of_the_unscaled_loss(compute: Compute) -> None:
    weight, descend = one(compute)
    descend((3 * weight).sum())
    assert weight.item() == pytest.approx(0.7)


def test_a_gradient_too_small_for_fp16_is_kept() -> None:
    weight, descend = one(FP16)
    half = (weight * 1.0).half()  # the gradient passes here in fp16
    loss = half.float().sum() * 1e-8
    assert torch.autograd.grad(loss, weight, retain_graph=True)[0].item() == 0.0
    descend(loss)
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(1e-8, rel=1e-2)


def test_an_overflow_is_left_out_and_halves_the_scale() -> None:
    weight, descend = one(FP16)
    before = descend.state_dict()["scale"]["scale"]
    descend(weight.sum() * torch.tensor(float("inf")))
    assert weight.item() == 1.0
    assert descend.state_dict()["scale"]["scale"] == before / 2
    other_weight, other = one(FP16)
    other.load_state_dict(descend.state_dict())
    assert other.state_dict()["scale"] == descend.state_dict()["scale"]
    other((3 * other_weight).sum())
    assert other_weight.item() == pytest.approx(0.7)


def test_without_fp16_there_is_no_scale() -> None:
    _, descend = one(CPU_FP32)
    assert descend.state_dict()["scale"] == {}
