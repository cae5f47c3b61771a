import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from hzsynth.gan.config import GanConfig
from hzsynth.gan.latent import ColourHead, draw_latent, latent_of_seeds, on_sphere
from hzsynth.gan.layers import trunk_widths
from hzsynth.gan.light import LightGenerator, NearestUpConv2d, bake_spectral_norm, gated_linear_unit
from hzsynth.gan.networks import build_discriminator, build_generator, to_float, to_uint8
from hzsynth.gan.projected_discriminator import FrozenFeatures, ProjectedDiscriminator
from hzsynth.gan.stylegan2 import (
    MappingNetwork,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    minibatch_stddev,
    mix_styles,
)
from hzsynth.nets.backbones import lite_features


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_merged_upsampling_convolution_equals_nearest_then_convolution() -> None:
    layer, x = NearestUpConv2d(5, 7), seeded(2, 5, 6, 6)
    doubled = functional.interpolate(x, scale_factor=2.0, mode="nearest")
    expected = functional.conv2d(doubled, layer.weight, padding=1)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_gated_linear_unit_is_torchs() -> None:
    x = seeded(2, 6, 4, 4)
    torch.testing.assert_close(gated_linear_unit(x), functional.glu(x, dim=1))


@pytest.mark.parametrize("kind", [LightGenerator, StyleGAN2Generator])
@pytest.mark.parametrize("resolution", [16, 64])
def test_generators_make_images_that_depend_on_z_and_noise(
    kind: type[LightGenerator] | type[StyleGAN2Generator], resolution: int
) -> None:
    network = kind(resolution, 0.1).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.5)
    latent = draw_latent(
        2, network.latent_width, network.noise_sizes, torch.Generator().manual_seed(1)
    )
    images = network(latent)
    assert images.shape == (2, 3, resolution, resolution)
    assert images.abs().max() <= 1
    assert not torch.allclose(images[0], images[1])
    silent = dataclasses.replace(latent, noise=tuple(torch.zeros_like(n) for n in latent.noise))
    assert not torch.allclose(images, network(silent))


def test_light_generator_has_the_published_size() -> None:
    assert trunk_widths(64, 1.0) == {4: 256, 8: 128, 16: 64, 32: 32, 64: 16}
    weights = sum(p.numel() for p in LightGenerator(64).parameters())
    assert weights == pytest.approx(1.86e6, rel=0.01)


def test_first_images_have_the_colour_of_the_reals_and_are_not_saturated() -> None:
    for generator in ("light", "stylegan2"):
        config = GanConfig(resolution=32, generator=generator)
        network = build_generator(config)
        colour = torch.tensor([0.5, 0.1, -0.2])
        network.set_colour(colour)
        latent = draw_latent(
            16, network.latent_width, network.noise_sizes, torch.Generator().manual_seed(0)
        )
        images = network(latent)
        torch.testing.assert_close(images.mean(dim=(0, 2, 3)), colour, atol=0.25, rtol=0)
        assert (images.abs() > 0.95).float().mean() < 0.01


def test_colour_head_inverts_its_offset() -> None:
    head = ColourHead(gain=0.5)
    head.set_colour(torch.tensor([0.3, 0.0, -0.3]))
    torch.testing.assert_close(
        head(torch.zeros(1, 3, 1, 1)).flatten(), torch.tensor([0.3, 0.0, -0.3])
    )


def test_baking_keeps_the_images() -> None:
    network = LightGenerator(32, 0.2).eval()
    latent = latent_of_seeds([1, 2], network.latent_width, network.noise_sizes)
    before = network(latent)
    bake_spectral_norm(network)
    assert not any("parametrizations" in name for name in network.state_dict())
    torch.testing.assert_close(network(latent), before, atol=1e-6, rtol=0)


def test_latents_of_seeds_do_not_depend_on_each_other() -> None:
    together, alone = latent_of_seeds([3, 4, 5], 8, [4, 8]), latent_of_seeds([4], 8, [4, 8])
    assert torch.equal(together.z[1:2], alone.z)
    assert torch.equal(together.noise[1][1:2], alone.noise[1])
    lengths = on_sphere(together.z).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((3,), 8.0**0.5))


def test_mapping_network_trains_at_a_hundredth_of_the_rate() -> None:
    mapping = MappingNetwork(8, 8, 1)
    z, before = seeded(4, 8), None
    optimiser = torch.optim.SGD(mapping.parameters(), lr=1.0)
    before = mapping.layers[0].weight.detach() * mapping.layers[0].scale
    mapping(on_sphere(z)).sum().backward()
    optimiser.step()
    moved = mapping.layers[0].weight.detach() * mapping.layers[0].scale - before
    plain = torch.nn.functional.leaky_relu(on_sphere(z) @ before.t(), 0.2) * 2**0.5
    slope = torch.where(plain > 0, 1.0, 0.2) * 2**0.5
    step = -(slope.t() @ on_sphere(z)) * 0.01**2 / 8
    torch.testing.assert_close(moved, step, atol=1e-7, rtol=1e-3)


def test_style_mixing_switches_at_the_crossover() -> None:
    w, other = torch.zeros(3, 4, 2), torch.ones(3, 4, 2)
    mixed = mix_styles(w, other, torch.tensor([1, 3, 4]))
    assert mixed[:, :, 0].tolist() == [[0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_minibatch_standard_deviation_against_numpy() -> None:
    x = seeded(8, 3, 4, 4)
    y = minibatch_stddev(x, group=4)
    values = x.numpy()
    for image in range(8):
        members = values[image % 2 :: 2]
        expected = np.sqrt(members.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(y[image, 3].numpy(), expected, rtol=1e-5)
    assert torch.equal(y[:, :3], x)
    assert minibatch_stddev(torch.ones(5, 2, 4, 4))[:, 2].max() < 1e-3


def test_stylegan2_discriminator_gives_one_logit_an_image() -> None:
    network = StyleGAN2Discriminator(32, 0.1)
    images = seeded(4, 3, 32, 32).requires_grad_()
    logits = network(network.observe(images))
    assert logits.shape == (4, 1)
    (gradient,) = torch.autograd.grad(logits.sum(), images)
    assert bool((gradient.flatten(1).abs().sum(dim=1) > 0).all())


def test_folding_the_batch_norms_keeps_the_features() -> None:
    x = seeded(2, 3, 64, 64).clamp(-1, 1)
    with torch.no_grad():
        for ours, theirs in zip(FrozenFeatures(64)(x), lite_features()(x), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_projected_discriminator_standardises_and_stays_frozen() -> None:
    network = ProjectedDiscriminator(0.2, size=64).train()
    frozen = copy.deepcopy(network.features.state_dict())
    images = seeded(32, 3, 32, 32).clamp(-1, 1)
    network.fit_statistics(images)
    observation = network.observe(images.requires_grad_())
    for maps in observation[:4]:
        mean, spread = maps.mean(dim=(0, 2, 3)), maps.std(dim=(0, 2, 3))
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-2, rtol=0)
        assert 0.5 < spread.median() < 1.05
    logits = network(observation)
    assert len(logits) == 32
    (gradient,) = torch.autograd.grad(logits.mean(), images)
    assert gradient.abs().max() > 0
    assert not any(p.requires_grad for p in network.features.parameters())
    assert not network.features.training
    for key, value in network.features.state_dict().items():
        assert torch.equal(value, frozen[key])
    assert not any(key.startswith("features.") for key in network.state_to_keep())


@pytest.mark.parametrize("discriminator", ["projected", "stylegan2"])
def test_initial_weights_come_from_the_seed_and_leave_the_global_state(discriminator: str) -> None:
    def build(seed: int) -> torch.Tensor:
        config = GanConfig(
            resolution=16, channel_multiplier=0.1, seed=seed, discriminator=discriminator
        )
        parts = [*build_generator(config).parameters(), *build_discriminator(config).parameters()]
        return torch.cat([p.detach().flatten() for p in parts])

    before = torch.get_rng_state()
    first, again, other = build(1), build(1), build(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_pixel_conversion_is_exact_both_ways() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(to_uint8(to_float(pixels)), pixels)
