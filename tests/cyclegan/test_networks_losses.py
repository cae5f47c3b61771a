"""Published sizes, identity start, and losses against plain arithmetic."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter, uniform_filter
from skimage.color import rgb2lab

from hzsynth.core.seeding import torch_generator
from hzsynth.cyclegan.colour import apply_change, colour_features, to_logits
from hzsynth.cyclegan.losses import (
    adversarial_loss,
    cycle_loss,
    discriminator_loss,
    shift_images,
)
from hzsynth.cyclegan.networks import (
    InstanceNorm2d,
    PatchDiscriminator,
    ResnetGenerator,
    count_parameters,
    initialise,
)
from hzsynth.cyclegan.preservation import (
    dilate,
    hide_lesions,
    lesion_contrast,
    preservation_loss,
    rgb_to_lab,
    soften,
)


def random_images(seed: Any, count: Any = 2, size: Any = 32) -> Any:
    return torch.rand((count, 3, size, size), generator=torch_generator(seed, "test")) * 2 - 1


def spot(size: Any = 32) -> Any:
    mask = torch.zeros(1, 1, size, size)
    mask[..., 12:20, 12:20] = 1
    return mask


def test_published_parameter_counts() -> None:
    generator = ResnetGenerator(64, 9, "transposed", "published")
    assert count_parameters(generator) == pytest.approx(11.378e6, rel=1e-4)
    assert count_parameters(PatchDiscriminator(64)) == pytest.approx(2.765e6, rel=1e-3)


def test_discriminator_judges_70_pixel_patches() -> None:
    network = PatchDiscriminator(4, norm="none")
    initialise(network, torch_generator(0, "d"))
    assert network(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)
    images = torch.zeros(1, 3, 256, 256, requires_grad=True)
    network(images)[0, 0, 15, 15].backward()
    reached = images.grad[0].abs().sum(dim=0) > 0
    assert reached.any(dim=0).sum() <= 70
    assert reached.any(dim=0).sum() >= 60


@pytest.mark.parametrize("count", [1, 3])
def test_instance_norm_equals_torchs_and_keeps_channels_last(count: int) -> None:
    images, direction = random_images(0, count) * 3 + 1, random_images(1, count)
    theirs = images.clone().requires_grad_()
    expected = torch.nn.functional.instance_norm(theirs)
    expected.backward(direction)
    ours = images.contiguous(memory_format=torch.channels_last).requires_grad_()
    result = InstanceNorm2d(3)(ours)
    result.backward(direction)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=0)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert ours.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("scale", [1, 2])
def test_residual_generator_starts_as_the_identity(scale: int) -> None:
    network = ResnetGenerator(4, 1, output="residual", residual_scale=scale)
    initialise(network, torch_generator(0, "g"))
    images = random_images(0)
    torch.testing.assert_close(network(images), images, atol=1e-5, rtol=0)


def test_published_generator_starts_elsewhere() -> None:
    network = ResnetGenerator(4, 1, output="published")
    initialise(network, torch_generator(0, "g"))
    assert (network(random_images(0)) - random_images(0)).abs().mean() > 0.1


def test_a_colour_start_moves_every_image_by_the_same_logits() -> None:
    network = ResnetGenerator(4, 1, output="residual")
    initialise(network, torch_generator(0, "g"))
    shift = torch.tensor([-0.3, 0.0, 0.2])
    network.colour.start_at(torch.zeros(3, 6), shift)
    images = random_images(1)
    expected = apply_change(images, shift.view(1, 3, 1, 1).expand_as(images))
    torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=0)


def test_a_colour_start_is_linear_in_the_features() -> None:
    network = ResnetGenerator(4, 1, output="residual")
    initialise(network, torch_generator(0, "g"))
    weight = torch.randn(3, 6, generator=torch_generator(1, "w")) * 0.2
    bias = torch.tensor([0.1, -0.2, 0.0])
    network.colour.start_at(weight, bias)
    images = random_images(1, count=3)
    shift = colour_features(images) @ weight.T + bias
    expected = apply_change(images, shift[..., None, None].expand_as(images))
    torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=0)


def test_harmonising_changes_places_and_no_tone() -> None:
    network = ResnetGenerator(4, 1, output="residual")
    initialise(network, torch_generator(0, "g"))
    network.colour.start_at(torch.zeros(3, 6), torch.tensor([-0.3, 0.1, 0.2]))
    images = random_images(1) * 0.5
    with torch.no_grad():
        network.last.bias[:3] = 0.4
        torch.testing.assert_close(network.harmonise(images), images, atol=1e-5, rtol=0)
        network.last.weight.normal_(0, 0.02, generator=torch_generator(2, "w"))
        made = network.harmonise(images)
    change = to_logits(made) - to_logits(images)
    assert change.mean(dim=(2, 3)).abs().max() < 1e-4
    assert change.abs().max() > 0.01
    published = ResnetGenerator(4, 1, output="published")
    initialise(published, torch_generator(0, "p"))
    torch.testing.assert_close(published.harmonise(images), published(images))


def test_changes_add_up_and_can_be_taken_back() -> None:
    images = random_images(2) * 0.9
    change = torch.full_like(images, 0.2)
    torch.testing.assert_close(apply_change(apply_change(images, change), -change), images)


def test_weights_follow_the_seed() -> None:
    first, second = ResnetGenerator(4, 1), ResnetGenerator(4, 1)
    for network in (first, second):
        initialise(network, torch_generator(3, "g"))
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)


def test_adversarial_losses_equal_their_formula() -> None:
    real, fake = torch.tensor([0.5, 1.5]), torch.tensor([0.0, 2.0])
    assert discriminator_loss(real, fake) == pytest.approx(0.5 * (0.25 + 2.0))
    assert adversarial_loss(fake) == pytest.approx(1.0)
    assert cycle_loss(torch.zeros(2, 3), torch.full((2, 3), -0.5)) == pytest.approx(0.5)


def test_shifts_move_the_picture_and_repeat_its_edge() -> None:
    images = torch.arange(16.0).view(1, 1, 1, 16).expand(8, 3, 16, 16)
    moved = shift_images(images, 0.25, torch_generator(0, "shift"))
    for picture in moved:
        start = float(picture[0, 0, 8] - 8)
        expected = (torch.arange(16.0) + start).clamp(0, 15)
        assert torch.equal(picture[0, 3], expected)
        assert abs(start) <= 4
    assert torch.equal(shift_images(images, 0.0, torch_generator(0, "shift")), images)


def test_lab_equals_scikit_image() -> None:
    images = random_images(4)
    expected = rgb2lab((images.numpy().transpose(0, 2, 3, 1) + 1) / 2)
    found = rgb_to_lab(images).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_lab_has_finite_gradients_at_black_and_white() -> None:
    images = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4).clone()
    images.requires_grad_(True)
    rgb_to_lab(images).sum().backward()
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()


def test_masks_grow_and_soften_by_squares() -> None:
    masks = (torch.rand(2, 1, 20, 24, generator=torch_generator(0, "m")) > 0.9).float()
    grown = maximum_filter(masks.numpy(), (1, 1, 7, 7), mode="constant")
    np.testing.assert_array_equal(dilate(masks, 3).numpy(), grown)
    mean = uniform_filter(masks.numpy(), (0, 0, 7, 7), mode="nearest")
    np.testing.assert_allclose(soften(masks, 3).numpy(), mean, atol=1e-6)


def test_discriminators_see_no_lesion() -> None:
    skin = torch.full((1, 3, 32, 32), 0.3)
    lesion = skin.clone()
    lesion[:, :, 12:20, 12:20] = -0.8
    torch.testing.assert_close(hide_lesions(lesion, spot()), skin)


def test_hiding_without_mask_changes_nothing_and_a_full_mask_leaves_a_colour() -> None:
    images = random_images(5, count=1)
    assert torch.equal(hide_lesions(images, torch.zeros(1, 1, 32, 32)), images)
    covered = hide_lesions(images, torch.ones(1, 1, 32, 32))
    expected = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    torch.testing.assert_close(covered, expected)


def test_contrast_is_the_difference_of_the_two_colours() -> None:
    images = torch.full((1, 3, 32, 32), 0.3)
    images[:, 0, 12:20, 12:20] = 0.8
    lab = rgb_to_lab(images)
    expected = lab[0, :, 15, 15] - lab[0, :, 0, 0]
    torch.testing.assert_close(lesion_contrast(lab, spot())[0], expected, atol=1e-3, rtol=0)


def test_erasing_costs_and_moving_the_tone_does_not() -> None:
    images = torch.full((1, 3, 32, 32), 0.3)
    images[:, 0, 12:20, 12:20] = 0.8
    erased = torch.full_like(images, 0.3)
    darker = images - 0.1
    assert preservation_loss(images, images, spot()) == 0
    erasing = float(preservation_loss(images, erased, spot()))
    toning = float(preservation_loss(images, darker, spot()))
    assert erasing > 10 * toning
