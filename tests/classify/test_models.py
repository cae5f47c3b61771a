from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from hzsynth.classify.models import (
    MODEL,
    Classifier,
    create_network,
    head_of,
    load_classifier,
    normalisation,
    normalise,
    pooled_features,
    to_unit,
)
from hzsynth.core.config import Config
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir

from .conftest import tiny_network


def _pixels(count: int, size: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (count, 3, size, size), dtype=np.uint8))


def _classifier() -> Classifier:
    network = tiny_network()
    with torch.no_grad():
        head_of(network).weight.copy_(
            torch.linspace(-1, 1, head_of(network).weight.numel()).view(2, -1)
        )
    mean, std = normalisation("test_efficientnet")
    return Classifier("test_efficientnet", network.eval(), ("a", "b"), "b", 32, mean, std)


@pytest.mark.parametrize(
    "model",
    ["test_efficientnet", "test_resnet", "mobilenetv3_small_050", "densenet121", "test_vit"],
)
def test_head_of_pooled_features_is_the_network(model: str) -> None:
    network = create_network(model, classes=3, pretrained="none", seed=0).eval()
    torch.nn.init.normal_(head_of(network).weight, generator=torch.Generator().manual_seed(0))
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network(images)
        composed = head_of(network)(pooled_features(network, images))
    assert expected.std() > 0
    torch.testing.assert_close(composed, expected)


def test_a_network_follows_from_its_seed_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (tiny_network(seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_new_head_finds_all_classes_equally_likely() -> None:
    mean, std = normalisation("test_efficientnet")
    network = tiny_network(classes=4).eval()
    fresh = Classifier("test_efficientnet", network, ("a", "b", "c", "d"), "b", 32, mean, std)
    np.testing.assert_allclose(fresh.probabilities(_pixels(3, 32)), 0.25)


def test_a_model_without_a_linear_head_is_refused() -> None:
    with pytest.raises(InputError, match="no linear"):
        create_network(
            "levit_128s",
            classes=2,
            pretrained="none",
            seed=0,
        )


def test_normalisation_maps_the_mean_colour_to_zero_and_one_deviation_to_one() -> None:
    mean, std = normalisation("resnet50")
    colours = torch.tensor([mean, [m + s for m, s in zip(mean, std, strict=True)]])
    mapped = normalise(colours.view(2, 3, 1, 1), mean, std).view(2, 3)
    torch.testing.assert_close(mapped, torch.tensor([[0.0] * 3, [1.0] * 3]))
    assert normalisation("efficientnet-lite0") == ((0.5,) * 3, (0.5,) * 3)


def test_probabilities_are_the_softmax_and_do_not_depend_on_the_batch() -> None:
    classifier, pixels = _classifier(), _pixels(5, 32)
    inputs = (pixels.numpy() / 255 - np.array(classifier.mean).reshape(3, 1, 1)) / np.array(
        classifier.std
    ).reshape(3, 1, 1)
    with torch.no_grad():
        expected = functional.softmax(classifier.network(torch.from_numpy(inputs).float()), 1)
    np.testing.assert_allclose(classifier.probabilities(pixels), expected, atol=1e-5)
    np.testing.assert_allclose(
        classifier.probabilities(pixels, batch=2), classifier.probabilities(pixels), atol=1e-6
    )
    assert classifier.probabilities(pixels[:0]).shape == (0, 2)
    assert to_unit(pixels, CPU_FP32).max() <= 1


def test_pictures_of_another_size_are_brought_to_the_networks_size() -> None:
    classifier = _classifier()
    flat = torch.tensor([200, 120, 90], dtype=torch.uint8).view(1, 3, 1, 1)
    small = classifier.probabilities(flat.expand(1, 3, 32, 32))
    large = classifier.probabilities(flat.expand(1, 3, 80, 80))
    np.testing.assert_allclose(large, small, atol=1e-6)


class _Nothing(Config):
    pass


def test_a_saved_classifier_answers_as_before(tmp_path: Path) -> None:
    classifier, pixels = _classifier(), _pixels(3, 32)
    run = RunDir.start(tmp_path / "run", "classify", _Nothing(), {})
    classifier.save(run.path / MODEL)
    with pytest.raises(InputError, match="not finished"):
        load_classifier(run)
    run.finish({})
    loaded = load_classifier(run)
    assert (loaded.labels, loaded.label, loaded.size) == (("a", "b"), "b", 32)
    assert (loaded.mean, loaded.std) == (classifier.mean, classifier.std)
    np.testing.assert_array_equal(loaded.probabilities(pixels), classifier.probabilities(pixels))


def test_a_generators_run_is_no_classifier(tmp_path: Path) -> None:
    run = RunDir.start(tmp_path / "run", "gan", _Nothing(), {})
    with pytest.raises(InputError, match="run of 'gan'"):
        load_classifier(run)
