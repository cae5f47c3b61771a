import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from hzsynth.gan.diffaugment import (
    ColourShiftCutout,
    adjust_colour,
    apply,
    draw,
    kept_by_cutout,
    translate,
)


def nothing(count: int) -> ColourShiftCutout:
    return ColourShiftCutout(
        brightness=torch.zeros(count),
        saturation=torch.ones(count),
        contrast=torch.ones(count),
        shift=torch.zeros(count, 2),
        cutout=torch.zeros(count, 2),
        erased=torch.zeros(count, dtype=torch.bool),
    )


def pictures(count: int = 2, side: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_nothing_drawn_changes_nothing() -> None:
    x = pictures()
    torch.testing.assert_close(apply(x, nothing(2)), x)


def test_contrast_against_the_definition_and_brightness_is_added() -> None:
    x = pictures(1)
    drawn = dataclasses.replace(
        nothing(1), brightness=torch.tensor([0.2]), contrast=torch.tensor([0.8])
    )
    shifted = x + 0.2
    expected = shifted.mean() + (shifted - shifted.mean()) * 0.8
    torch.testing.assert_close(adjust_colour(x, drawn), expected)


def test_saturation_is_a_linear_map_of_every_pixel() -> None:
    x = pictures(1)
    drawn = dataclasses.replace(nothing(1), saturation=torch.tensor([1.4]))
    matrix = 1.4 * np.eye(3) + (1 - 1.4) / 3 * np.ones((3, 3))
    expected = np.einsum("dc,nchw->ndhw", matrix, x.numpy())
    np.testing.assert_allclose(adjust_colour(x, drawn).numpy(), expected, atol=1e-5)


def test_no_operation_changes_the_hue_of_a_red_patch() -> None:
    x = torch.full((64, 3, 8, 8), -0.2)
    x[:, 0] = 0.3
    seen = adjust_colour(x, draw(64, torch.Generator().manual_seed(0)))
    red, green, blue = seen[:, 0], seen[:, 1], seen[:, 2]
    assert bool((red > green).all())
    torch.testing.assert_close(green, blue)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.125, -0.0625), (-0.125, 0.125)])
def test_translation_against_scipy(shift: tuple[float, float]) -> None:
    x = pictures(1)
    moved = translate(x, torch.tensor([shift]))[0, 1].numpy()
    expected = ndimage.shift(x[0, 1].numpy(), [16 * s for s in shift], order=0, cval=0.0)
    np.testing.assert_allclose(moved, expected)


def test_cutout_erases_a_square_of_half_the_side() -> None:
    drawn = dataclasses.replace(
        nothing(3),
        cutout=torch.tensor([[0.5, 0.5], [0.0, 0.0], [0.5, 0.5]]),
        erased=torch.tensor([True, True, False]),
    )
    erased = 1 - kept_by_cutout(16, drawn)
    assert erased.sum(dim=(1, 2, 3)).tolist() == [64.0, 16.0, 0.0]
    assert bool(erased[0, 0, 4:12, 4:12].all())
    assert bool(erased[1, 0, :4, :4].all())


def test_the_gradient_passes() -> None:
    x = pictures().double().requires_grad_()
    drawn = draw(2, torch.Generator().manual_seed(3))
    doubled = ColourShiftCutout(
        **{
            f.name: getattr(drawn, f.name).double() if f.name != "erased" else drawn.erased
            for f in dataclasses.fields(drawn)
        }
    )
    small = x[:, :, :4, :4].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: apply(v, doubled), (small,))


def test_the_draw_depends_on_its_generator_alone() -> None:
    first = draw(4, torch.Generator().manual_seed(5))
    second = draw(4, torch.Generator().manual_seed(5))
    for field in dataclasses.fields(first):
        assert torch.equal(getattr(first, field.name), getattr(second, field.name))
    assert first.shift.abs().max() <= 1 / 8
    assert bool((first.brightness.abs() <= 0.25).all())
