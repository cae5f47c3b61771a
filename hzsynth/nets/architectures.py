"""Networks of the comparison table that timm does not have, with timm's interface.

AlexNet (Krizhevsky et al. 2012) is torchvision's; the plain CNN is VGG-like (3 x 3 convolutions,
batch norm, ReLU, max pooling); the fusion concatenates the pooled features of EfficientNet-B0,
EfficientNet-B2 and ResNet-50 before one dense head.
"""

from collections.abc import Callable

import timm
import torch
from torch import nn

_PLAIN_WIDTHS = (32, 64, 128, 256, 256)
_FUSED = ("efficientnet_b0", "efficientnet_b2", "resnet50")


class HeadedNetwork(nn.Module):
    """A body that gives pooled features, and a linear head, as timm's models have them.

    Attributes:
        num_features: length D of the pooled features.
    """

    num_features: int

    def get_classifier(self) -> nn.Linear:
        """The linear head."""
        raise NotImplementedError

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """Float N x 3 x H x W -> pooled features N x D."""
        raise NotImplementedError

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Pooled features -> logits, or the features themselves."""
        return features if pre_logits else self.get_classifier()(features)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Float N x 3 x H x W -> logits N x C."""
        return self.forward_head(self.forward_features(images))

    def group_matcher(self, coarse: bool = False) -> dict[str, object]:
        """Which weights make a layer, for timm's grouping."""
        return {"stem": r"^features\.0\.", "blocks": [(r"^features\.(\d+)\.", None), (r".", (99,))]}


class AlexNet(HeadedNetwork):
    """AlexNet; weights have torchvision's names, so its files fit.

    Args:
        num_classes: outputs.
        dropout: before each dense layer.
    """

    num_features = 4096

    def __init__(self, num_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        from torchvision.models import alexnet

        network = alexnet(weights=None, num_classes=num_classes, dropout=dropout)
        self.features, self.avgpool = network.features, network.avgpool
        self.classifier: nn.Sequential = network.classifier

    def get_classifier(self) -> nn.Linear:
        """See `HeadedNetwork`."""
        head = self.classifier[-1]
        assert isinstance(head, nn.Linear)
        return head

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """See `HeadedNetwork`; inputs of 63 pixels a side at least."""
        maps = self.avgpool(self.features(images))
        pooled: torch.Tensor = self.classifier[:-1](maps.flatten(1))
        return pooled


class PlainCnn(HeadedNetwork):
    """Five blocks of two 3 x 3 convolutions, batch norm, ReLU and max pooling; 1.9 M weights.

    Args:
        num_classes: outputs.
        dropout: before the head.
    """

    num_features = _PLAIN_WIDTHS[-1]

    def __init__(self, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.features = nn.Sequential()
        channels = 3
        for width in _PLAIN_WIDTHS:
            block: list[nn.Module] = []
            for inner in (channels, width):
                block += [nn.Conv2d(inner, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
                block += [nn.ReLU(inplace=True)]
            self.features.append(nn.Sequential(*block, nn.MaxPool2d(2, ceil_mode=True)))
            channels = width
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)

    def get_classifier(self) -> nn.Linear:
        """See `HeadedNetwork`."""
        return self.classifier

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """See `HeadedNetwork`."""
        pooled: torch.Tensor = self.dropout(self.features(images).mean(dim=(2, 3)))
        return pooled


class FusedNetworks(HeadedNetwork):
    """EfficientNet-B0, EfficientNet-B2 and ResNet-50 side by side under one dense head.

    Args:
        num_classes: outputs.
        dropout: before the head.
    """

    def __init__(self, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        bodies = [timm.create_model(name, pretrained=False, num_classes=0) for name in _FUSED]
        self.features = nn.ModuleList(bodies)
        self.num_features = sum(int(body.num_features) for body in bodies)  # type: ignore[arg-type, misc]
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.num_features, num_classes)

    def get_classifier(self) -> nn.Linear:
        """See `HeadedNetwork`."""
        return self.classifier

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """See `HeadedNetwork`."""
        pooled: torch.Tensor = self.dropout(
            torch.cat([body(images) for body in self.features], dim=1)
        )
        return pooled


ARCHITECTURES: dict[str, Callable[[int, float], HeadedNetwork]] = {
    "alexnet": AlexNet,
    "plain-cnn": PlainCnn,
    "fusion-b0-b2-resnet50": FusedNetworks,
}
"""Name -> maker, given the number of classes and the drop-out rate."""
