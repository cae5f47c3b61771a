"""Networks beside timm's: their parts fit together, and AlexNet is torchvision's."""

from pathlib import Path

import pytest
import torch

from hzsynth.classify.train.config import ENSEMBLES
from hzsynth.nets.architectures import ARCHITECTURES
from hzsynth.nets.backbones import create_backbone, layer_parameters


@pytest.mark.parametrize("name", ["alexnet", "plain-cnn"])
def test_features_and_head_make_the_whole(name: str) -> None:
    network = create_backbone(name, num_classes=3).eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = network.forward_features(images)
        assert features.shape == (2, network.num_features)
        assert torch.equal(network.forward_head(features, pre_logits=True), features)
        torch.testing.assert_close(network(images), network.get_classifier()(features))
    assert network.get_classifier().out_features == 3
    layers = layer_parameters(network)
    assert sum(len(layer) for layer in layers) == len(list(network.parameters()))
    assert len(layers) >= 5


def test_the_fusion_concatenates_its_bodies() -> None:
    network = create_backbone("fusion-b0-b2-resnet50", num_classes=2).eval()
    assert network.num_features == 1280 + 1408 + 2048
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = network.forward_features(images)
        torch.testing.assert_close(features[:, 1280:2688], network.features[1](images))
        assert network(images).shape == (1, 2)
    assert len(layer_parameters(network)) >= 3


def test_alexnet_takes_torchvisions_weights(tmp_path: Path) -> None:
    from torchvision.models import alexnet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = alexnet(weights=None, num_classes=7).eval()
    torch.save(theirs.state_dict(), tmp_path / "alexnet.pth")
    ours = create_backbone("alexnet", num_classes=7, pretrained=tmp_path / "alexnet.pth").eval()
    images = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))
    assert sum(p.numel() for p in create_backbone("alexnet", num_classes=10).parameters()) == (
        57_044_810
    )


def test_the_names_are_free_and_the_members_known() -> None:
    import timm

    assert not any(timm.is_model(name) for name in ARCHITECTURES)
    assert all(timm.is_model(name) for members in ENSEMBLES.values() for name in members)
