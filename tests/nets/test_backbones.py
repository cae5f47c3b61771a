from pathlib import Path
from typing import Any

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from hzsynth.core.errors import InputError
from hzsynth.core.weights import find_weights
from hzsynth.nets.backbones import create_backbone, lite_embedding, lite_features
from hzsynth.nets.ema import ExponentialMovingAverage
from hzsynth.nets.names import LITE_NAMES


@pytest.mark.parametrize(("name", "size"), list(zip(LITE_NAMES, (224, 240, 260), strict=True)))
def test_lite_outputs_equal_the_packages_own_implementation(
    name: Any, size: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = EfficientNet.from_pretrained(name, weights_path=str(find_weights(name))).eval()
    ours = create_backbone(name, num_classes=1000, pretrained="imagenet").eval()
    images = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(ours(images), reference(images), atol=1e-5)


def test_features_have_the_four_strides_and_stay_frozen() -> None:
    network = lite_features("efficientnet-lite0")
    network.train()
    maps = network(torch.zeros(1, 3, 64, 64))
    assert [m.shape[1:] for m in maps] == [(24, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2)]
    assert network.channels == (24, 40, 112, 320)
    assert not any(m.training for m in network.modules())


def test_loading_leaves_the_random_state_alone() -> None:
    lite_features.cache_clear()
    lite_embedding.cache_clear()
    before = torch.random.get_rng_state()
    lite_features()
    lite_embedding()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_embedding_does_not_depend_on_its_neighbours_in_the_batch() -> None:
    images = torch.randint(0, 256, (3, 3, 40, 50), dtype=torch.uint8)
    network = lite_embedding("efficientnet-lite0")
    together, alone = network(images), network(images[1:2])
    assert together.shape == (3, network.dim)
    assert torch.allclose(together[1:2], alone, atol=1e-4)


def test_missing_weights_are_an_error_and_never_silently_random() -> None:
    with pytest.raises(InputError, match="no ImageNet weights of 'resnet18' come with pip"):
        create_backbone("resnet18", num_classes=2, pretrained="imagenet")
    with pytest.raises(InputError, match="not known"):
        create_backbone("resnet999x", num_classes=2)


def test_weights_of_another_network_do_not_fit(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    other = create_backbone("mobilenetv3_small_050", num_classes=3)
    save_file(other.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="do not fit"):
        create_backbone("resnet18", num_classes=2, pretrained=tmp_path / "w.safetensors")
    same = create_backbone(
        "mobilenetv3_small_050", num_classes=5, pretrained=tmp_path / "w.safetensors"
    )
    assert torch.equal(
        same.state_dict()["conv_stem.weight"], other.state_dict()["conv_stem.weight"]
    )


def test_ema_follows_the_closed_form() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    average = ExponentialMovingAverage(module)
    module.weight.data.fill_(1.0)
    for _ in range(5):
        average.update(module, 0.9)
    assert average.module.weight.item() == pytest.approx(1 - 0.9**5)
