import dataclasses
import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import hzsynth.nets  # noqa: F401  (torchvision can be imported only after it)
from hzsynth.gan import affine_resampling
from hzsynth.gan.adaptive_augmentation import (
    AdaptiveAugmentation,
    Operators,
    apply,
    draw,
    inverse_map,
)
from hzsynth.gan.adaptive_strength import AdaptiveStrength

SIDE = 32


@pytest.fixture
def vision() -> Any:
    from torchvision.transforms.v2 import functional

    return functional


EVERYTHING = Operators(cutout=True, noise=True)


def nothing(count: int = 1) -> AdaptiveAugmentation:
    return draw(count, 0.0, torch.Generator().manual_seed(0))


def only(**values: object) -> AdaptiveAugmentation:
    tensors = {name: torch.tensor([value]) for name, value in values.items()}
    return dataclasses.replace(nothing(), **tensors)


def pictures(count: int = 1, side: int = SIDE, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def smooth(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Three slow waves without any symmetry, on the square from -1 to 1."""
    return torch.stack(
        [(2.1 * x + 0.7 * y).sin(), (1.3 * x - 2.9 * y + 0.4).cos(), (x - 0.8 * y).sin()]
    )


def places(side: int = SIDE) -> tuple[torch.Tensor, torch.Tensor]:
    centres = (torch.arange(side, dtype=torch.float64) + 0.5) / side * 2 - 1
    return centres[None, :].expand(side, side), centres[:, None].expand(side, side)


def test_no_strength_changes_no_bit() -> None:
    x = pictures(8)
    drawn = draw(8, 0.0, torch.Generator().manual_seed(1), EVERYTHING)
    assert torch.equal(apply(x, drawn), x)


def test_what_one_image_drew_leaves_its_neighbours_bits() -> None:
    x = pictures(2)
    drawn = dataclasses.replace(
        nothing(2),
        flip=torch.tensor([True, False]),
        shift=torch.tensor([[0.1, 0.1], [0.0, 0.0]]),
        scale=torch.tensor([1.2, 1.0]),
        saturation=torch.tensor([0.5, 1.0]),
        contrast=torch.tensor([0.5, 1.0]),
        erased=torch.tensor([True, False]),
        noise=torch.tensor([0.1, 0.0]),
    )
    seen = apply(x, drawn)
    assert torch.equal(seen[1], x[1])
    assert not torch.allclose(seen[0], x[0])


def test_flip_and_whole_shifts_against_torchvision_and_numpy(vision: ModuleType) -> None:
    x = pictures()
    assert torch.equal(apply(x, only(flip=True)), vision.horizontal_flip(x))
    moved = apply(x, only(shift=[0.1, -0.0625]))  # 3.2 columns to the right, 2 rows up
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4)), mode="reflect")
    np.testing.assert_array_equal(moved.numpy(), padded[:, :, 6 : 6 + SIDE, 1 : 1 + SIDE])


@pytest.mark.parametrize(
    ("values", "torchvision"),
    [
        ({"scale": 1.25}, {"scale": 1.25}),
        ({"scale": 0.8}, {"scale": 0.8}),
        ({"turn_before": math.radians(20)}, {"angle": 20.0}),
        ({"turn_after": math.radians(-35)}, {"angle": -35.0}),
        ({"offset": [0.078, -0.031]}, {"translate": [2.496, -0.992]}),
    ],
)
def test_geometric_operators_against_torchvision(
    values: dict[str, object], torchvision: dict[str, object], vision: ModuleType
) -> None:
    x = smooth(*places()).float()[None]
    settings = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    expected = vision.affine(
        x, **{**settings, **torchvision}, interpolation=vision.InterpolationMode.BILINEAR
    )
    inside = (..., slice(7, -7), slice(7, -7))
    torch.testing.assert_close(
        apply(x, only(**values))[inside], expected[inside], atol=6e-3, rtol=0
    )


def test_composed_geometry_against_the_function_that_was_sampled() -> None:
    drawn = only(scale=1.15, turn_before=0.4, stretch=1.2, turn_after=-0.6, offset=[0.06, -0.09])
    seen = apply(smooth(*places())[None], drawn)[0]

    # Every place of the result is traced back, operator by operator, last one first.
    def turned(column: torch.Tensor, row: torch.Tensor, angle: float) -> tuple[torch.Tensor, ...]:
        c, s = math.cos(angle), math.sin(angle)
        return c * column + s * row, -s * column + c * row

    column, row = places()
    column, row = column - 2 * 0.06, row + 2 * 0.09
    column, row = turned(column, row, -0.6)
    column, row = column / 1.2, row * 1.2
    column, row = turned(column, row, 0.4)
    column, row = column / 1.15, row / 1.15
    expected = smooth(column, row)
    covered = (column.abs() < 0.85) & (row.abs() < 0.85)
    assert covered.float().mean() > 0.5
    assert (seen - expected).abs()[:, covered].max() < 4e-3


def test_the_low_pass_is_an_orthonormal_wavelet_filter() -> None:
    taps = np.array(affine_resampling._LOW_PASS)
    for shift in range(6):
        product = (taps[2 * shift :] * taps[: 12 - 2 * shift]).sum()
        assert product == pytest.approx(float(shift == 0), abs=1e-11)
    places = np.arange(12)
    for moment in range(6):  # six vanishing moments: polynomials of degree five pass
        assert ((-1.0) ** places * taps * places**moment).sum() == pytest.approx(0, abs=1e-8)
    assert taps.sum() == pytest.approx(math.sqrt(2))


def test_resampling_has_derivatives_of_both_orders() -> None:
    x = pictures(2, 6).double().requires_grad_()
    inverse = inverse_map(only(turn_before=0.3, stretch=1.2).select(torch.tensor([0, 0])))

    def moved(images: torch.Tensor) -> torch.Tensor:
        return affine_resampling.resample(images, inverse)

    assert torch.autograd.gradcheck(moved, (x,))
    assert torch.autograd.gradgradcheck(moved, (x,))


def test_sampling_twice_as_finely_and_halving_again_changes_nothing_inside() -> None:
    x = pictures()
    still = torch.eye(2, 3, dtype=torch.float64)[None]
    inside = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(
        affine_resampling.resample(x, still)[inside], x[inside], atol=1e-5, rtol=0
    )


def test_shrinking_a_fine_pattern_does_not_alias(vision: ModuleType) -> None:
    # Stripes of 2.2 pixels shrunk by 0.6 cannot be shown: bilinear sampling alone turns
    # them into false coarse ones, the low-pass into grey.
    stripes = (places(64)[0] * 64 / 2.2 * math.pi).sin().float().expand(1, 3, 64, 64)
    drawn = only(scale=0.6)
    inside = (..., slice(20, 44), slice(20, 44))
    seen = apply(stripes, drawn)[inside].std()
    plain = vision.affine(
        stripes, 0.0, [0, 0], 0.6, [0.0, 0.0], interpolation=vision.InterpolationMode.BILINEAR
    )[inside].std()
    assert seen < 0.5 * plain


def test_colour_operators_are_linear_maps_of_a_pixel() -> None:
    x = pictures().double()
    values = {"brightness": 0.15, "contrast": 0.7, "saturation": 1.6}
    grey = np.ones((3, 3)) / 3
    matrix = (grey + 1.6 * (np.eye(3) - grey)) * 0.7
    expected = np.einsum("dc,nchw->ndhw", matrix, x.numpy() + 0.15)
    np.testing.assert_allclose(apply(x, only(**values)).numpy(), expected, atol=1e-7)


def test_colour_operators_against_torchvision(vision: ModuleType) -> None:
    # Its contrast is a scaling around the mean luma, ours around mid-grey: the same where these are
    # the same (its luma weights sum to 0.9999).
    x = pictures() * 0.3
    luma = vision.rgb_to_grayscale(x).mean()
    x = x - luma  # mid-grey is 0 here and 0.5 there
    theirs = vision.adjust_contrast((x + 1) / 2, 0.8) * 2 - 1
    torch.testing.assert_close(apply(x, only(contrast=0.8)), theirs, atol=1e-4, rtol=0)
    grey = x.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(apply(x, only(saturation=0.0)), grey)


def test_no_operator_changes_the_hue_of_redness() -> None:
    x = torch.full((256, 3, 16, 16), -0.2)
    x[:, 0] = 0.3
    seen = apply(x, draw(256, 1.0, torch.Generator().manual_seed(0)))
    assert bool((seen[:, 0] > seen[:, 1]).all())
    torch.testing.assert_close(seen[:, 1], seen[:, 2], atol=1e-5, rtol=0)


def test_cutout_erases_a_square_of_half_the_side() -> None:
    x = torch.ones(1, 3, 16, 16)
    middle = apply(x, only(erased=True, cutout=[0.5, 0.5]))
    assert bool((middle[:, :, 4:12, 4:12] == 0).all())
    assert (middle == 0).sum() == 3 * 64
    right = apply(x, only(erased=True, cutout=[1.0, 0.5]))
    assert bool((right[:, :, 4:12, 12:] == 0).all())
    assert (right == 0).sum() == 3 * 32


def test_noise_has_its_spread_and_its_own_seed() -> None:
    x = torch.zeros(1, 3, 128, 128)
    drawn = only(noise=0.07, noise_seed=5)
    assert apply(x, drawn).std().item() == pytest.approx(0.07, rel=0.02)
    assert torch.equal(apply(x, drawn), apply(x, drawn))
    assert not torch.equal(apply(x, drawn), apply(x, only(noise=0.07, noise_seed=6)))


def test_an_image_does_not_depend_on_its_batch() -> None:
    x = pictures(6)
    drawn = draw(6, 0.7, torch.Generator().manual_seed(2), EVERYTHING)
    together = apply(x, drawn)
    assert together.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(together, apply(x, drawn))
    for number in range(6):
        row = torch.tensor([number])
        alone = apply(x[row], drawn.select(row))
        torch.testing.assert_close(alone, together[row], atol=2e-6, rtol=0)


def test_gradient_against_differences() -> None:
    drawn = draw(2, 0.9, torch.Generator().manual_seed(4), EVERYTHING)
    assert bool(drawn.resampled.any())
    x = pictures(2, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: apply(v, drawn), (x,))


def test_every_operator_is_drawn_with_probability_p() -> None:
    count, p = 20000, 0.3
    drawn = draw(count, p, torch.Generator().manual_seed(0), EVERYTHING)
    shares = {
        "flip": (drawn.flip, p / 2),
        "shift": ((drawn.shift != 0).any(dim=1), p),
        "scale": (drawn.scale != 1, p),
        "turn": ((drawn.turn_before != 0) | (drawn.turn_after != 0), p),
        "stretch": (drawn.stretch != 1, p),
        "offset": ((drawn.offset != 0).any(dim=1), p),
        "brightness": (drawn.brightness != 0, p),
        "contrast": (drawn.contrast != 1, p),
        "saturation": (drawn.saturation != 1, p),
        "erased": (drawn.erased, p),
        "noise": (drawn.noise != 0, p),
    }
    for name, (happened, expected) in shares.items():
        assert happened.float().mean().item() == pytest.approx(expected, abs=0.013), name
    assert drawn.shift.abs().max() <= 1 / 8
    assert drawn.turn_before.abs().max() <= math.radians(45)
    spread = drawn.contrast[drawn.contrast != 1].log2().std().item()
    assert spread == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize("p", [0.3, 0.8, 1.0])
def test_no_image_is_turned_by_more_than_the_bound(p: float) -> None:
    drawn = draw(20000, p, torch.Generator().manual_seed(0))
    together = (drawn.turn_before + drawn.turn_after).abs()
    assert together.max() <= math.radians(45) + 1e-6
    # What a stretched image is turned by is the rotation nearest to its map.
    left, _, right = torch.linalg.svd(inverse_map(drawn)[:, :, :2])
    nearest = left @ right
    angles = torch.atan2(nearest[:, 1, 0], nearest[:, 0, 0]).abs()
    assert angles.max() <= math.radians(45) + 1e-6
    turned = together[together > 0]
    assert turned.mean().item() == pytest.approx(math.radians(22.5), rel=0.03)
    assert (drawn.turn_after != 0).float().mean() == pytest.approx(1 - math.sqrt(1 - p), abs=0.01)


def test_operators_that_are_off_are_never_drawn() -> None:
    drawn = draw(
        64,
        1.0,
        torch.Generator().manual_seed(0),
        Operators(flip=False, blit=False, geometric=False, colour=False),
    )
    assert torch.equal(apply(pictures(64), drawn), pictures(64))


def test_more_strength_adds_to_what_less_drew() -> None:
    weak, strong = (draw(64, p, torch.Generator().manual_seed(3), EVERYTHING) for p in (0.2, 0.8))
    for field in dataclasses.fields(weak):
        less, more = getattr(weak, field.name), getattr(strong, field.name)
        if field.name == "turn_before":
            assert bool(((less == 0) | (less == more)).all())
        elif field.name in ("scale", "contrast"):
            assert bool(((less == 1) | (less == more)).all())
    assert int(strong.flip.sum()) > int(weak.flip.sum())


def test_by_the_clock_the_pace_follows_the_time_that_has_passed() -> None:
    # Sure of every real in a tenth of the time at each adjustment: p rises by a tenth.
    strength = AdaptiveStrength(batch=2, kimg=None)
    for step in range(40):
        strength.elapsed((step + 1) / 40)
        strength.observe(torch.ones(2, 1))
        if step == 21:
            kept = strength.state_dict()
    assert strength.p == pytest.approx(0.8)  # the bound
    again = AdaptiveStrength(batch=2, kimg=None)
    again.load_state_dict(kept)
    assert again.p == pytest.approx(0.5)
    for step in (22, 23):
        again.elapsed((step + 1) / 40)
        again.observe(torch.ones(2, 1))
    assert again.p == pytest.approx(0.6)


def test_strength_follows_a_trajectory_by_hand() -> None:
    # 2 images a step and 0.1 kimg: every fourth step p moves by 2 * 4 / 100 = 0.08.
    strength = AdaptiveStrength(batch=2, kimg=0.1)
    sure, unsure = torch.tensor([[3.0], [0.5]]), torch.tensor([[2.0], [-1.0]])
    seen = []
    for logits in [sure] * 8 + [unsure] * 4 + [sure, sure, unsure, sure] * 2 + [unsure] * 12:
        strength.observe(logits)
        seen.append(strength.p)
    every_fourth = seen[3::4]
    # Mean signs: 1, 1, 0, 0.75, 0.75, 0, 0, 0.
    assert every_fourth == pytest.approx([0.08, 0.16, 0.08, 0.16, 0.24, 0.16, 0.08, 0.0])
    assert seen[:3] == [0.0, 0.0, 0.0]
    assert seen[4:7] == [seen[3]] * 3
    for _ in range(8):
        strength.observe(unsure)
    assert strength.p == 0.0
    for _ in range(100):
        strength.observe(sure)
    assert strength.p == 0.8
    assert strength.sureness == 1.0


def test_strength_rests_at_its_target() -> None:
    strength = AdaptiveStrength(batch=10, kimg=0.1, interval=1)
    eight_of_ten = torch.tensor([1.0] * 8 + [-1.0] * 2)  # mean sign 0.6
    strength.observe(eight_of_ten)
    assert strength.p == 0.0
    strength.observe(torch.ones(10))
    raised = strength.p
    assert raised == pytest.approx(0.1)
    strength.observe(eight_of_ten)
    assert strength.p == raised


def test_strength_resumes_exactly_in_the_middle_of_an_interval() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(6, 7, generator=generator) + 0.9 for _ in range(41)]
    through, before = AdaptiveStrength(6, kimg=0.3), AdaptiveStrength(6, kimg=0.3)
    for part in logits:
        through.observe(part)
    for part in logits[:18]:
        before.observe(part)
    after = AdaptiveStrength(6, kimg=0.3)
    after.load_state_dict(before.state_dict())
    for part in logits[18:]:
        after.observe(part)
    assert after.state_dict() == through.state_dict()
    assert after.p == through.p > 0
