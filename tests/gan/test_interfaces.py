"""Every pair of networks keeps what `interfaces` promises."""

from collections.abc import Mapping

import pytest
import torch

from hzsynth.core.errors import InputError
from hzsynth.gan.backends import BACKENDS, backend_named
from hzsynth.gan.config import GanConfig
from hzsynth.gan.latent import draw_latent
from hzsynth.gan.networks import build_discriminator, build_generator

from .conftest import tiny

SETTINGS: list[Mapping[str, object]] = [
    {"generator": "light", "discriminator": "projected"},
    {"generator": "stylegan2", "discriminator": "stylegan2", "path_length_weight": 2.0},
    {"backend": "stylegan2-pytorch"},
]


@pytest.fixture(params=SETTINGS, ids=lambda settings: str(settings.get("backend", settings)))
def config(request: pytest.FixtureRequest) -> GanConfig:
    if request.param.get("backend") == "stylegan2-pytorch":
        request.getfixturevalue("package")
    return tiny(**request.param)


def test_a_backend_is_found_by_its_name() -> None:
    assert [backend_named(backend.name) for backend in BACKENDS] == list(BACKENDS)


def test_an_image_is_made_of_its_code_its_noise_and_its_class(config: GanConfig) -> None:
    classes = 2 if config.conditional else 0
    network = build_generator(config, classes).eval()
    latent = draw_latent(3, network.latent_width, network.noise_sizes, torch.Generator(), classes)
    code = network.code(latent.z, latent.classes)
    assert code.shape[0] == 3
    codes = network.repeated(code)
    assert codes.shape == ((3, network.layers, code.shape[1]) if network.layers else code.shape)
    assert (network.space == "w") == network.has_styles == (network.layers > 0)
    images = network.synthesise(codes, latent.noise, latent.classes)
    assert torch.equal(images, network(latent))
    assert images.shape == (3, 3, 16, 16)
    network.set_colour(torch.zeros(3))


def test_a_discriminator_judges_what_it_observes(config: GanConfig) -> None:
    classes = 2 if config.conditional else 0
    network = build_discriminator(config, classes).eval()
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    network.fit_statistics(images)
    observation = network.observe(images)
    assert torch.equal(observation[-1], images)
    logits = network(observation, torch.tensor([0, 1, 0, 1]) if classes else None)
    assert logits.shape[0] == 4
    kept = network.state_to_keep()
    network.load_state_dict({**network.state_dict(), **kept})
    assert (len(observation) == 1) != network.has_frozen_features
    network.freeze_first_blocks(0)
    with pytest.raises(InputError, match="`freeze_d` is"):
        network.freeze_first_blocks(9)


def test_an_objective_fits_its_networks(config: GanConfig) -> None:
    objective = backend_named(config.backend).objective(config)
    network = build_generator(config)
    # A path length needs a w space.
    assert objective.path_length is None or network.has_styles
    real, fake = torch.tensor([[3.0]]), torch.tensor([[-3.0]])
    assert objective.loss.discriminator(real, fake) < objective.loss.discriminator(fake, real)
    assert objective.loss.generator(real) < objective.loss.generator(fake)
