"""Projected discriminator: small heads judge the features of a frozen ImageNet network.

After Sauer et al. 2021 (arXiv:2111.01007): with tens of images a discriminator that has to
learn to see memorises them instead; one that judges frozen features does not. Here the four
EfficientNet-Lite0 maps are standardised per channel with the reals' statistics, and two small
companions look at what such features are blind to: fine texture (a patch discriminator on
pixels) and overall colour (one on 8 x 8 colour means).
"""

import copy

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrizations import spectral_norm

from hzsynth.gan.interfaces import DiscriminatorNetwork, Observation
from hzsynth.gan.layers import ClassProjection
from hzsynth.nets.backbones import lite_features

HEAD_WIDTHS = (64, 64, 128, 128)
COLOUR_GRID = 8
SMALLEST_VARIANCE = 1e-2
"""Added to a feature channel's variance: channels that never change are not blown up."""


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Merges every frozen batch norm into the convolution before it, in place.

    Returns:
        The network: the same function (to rounding), with fewer passes over memory.
    """
    previous: tuple[str, nn.Module] | None = None
    for name, child in list(network.named_children()):
        if isinstance(child, nn.BatchNorm2d) and previous and isinstance(previous[1], nn.Conv2d):
            setattr(network, previous[0], fuse_conv_bn_eval(previous[1], child))
            # timm's batch norm carries the activation that follows it.
            setattr(network, name, getattr(child, "act", nn.Identity()))
        else:
            fold_batch_norm(child)
        previous = (name, child)
    return network


class FrozenFeatures(nn.Module):
    """EfficientNet-Lite0 maps at strides 4, 8, 16 and 32, for images of any size.

    Args:
        size: images are enlarged to this many pixels; larger ones stay as they are.

    Attributes:
        channels: of the four maps.
    """

    def __init__(self, size: int = 128) -> None:
        super().__init__()
        features = lite_features("efficientnet-lite0")
        self.channels = features.channels
        self.size = size
        self.body = fold_batch_norm(copy.deepcopy(features.body))
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train(self, mode: bool = True) -> "FrozenFeatures":
        """Keeps evaluation mode: the network is frozen."""
        return super().train(False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """N x 3 x H x W in [-1, 1] -> four maps."""
        if images.shape[-1] < self.size:
            images = functional.interpolate(
                images, size=(self.size, self.size), mode="bilinear", align_corners=False
            )
        maps: list[torch.Tensor] = self.body(images.contiguous(memory_format=torch.channels_last))
        return maps


def _down_block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )


class Head(nn.Module):
    """Logits of a map: its trunk, a last convolution and, if conditional, the class's share.

    Args:
        trunk: N x C x H x W -> N x width x H' x W'.
        last: -> one channel, of the same or a smaller size.
        width: of the trunk's result.
        classes: number of classes to judge by, else 0.
    """

    def __init__(self, trunk: nn.Module, last: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.trunk, self.last = trunk, last
        self.projection = ClassProjection(classes, width) if classes else None

    def forward(self, x: torch.Tensor, classes: torch.Tensor | None) -> torch.Tensor:
        """-> N x 1 x H' x W'."""
        features = self.trunk(x)
        logits: torch.Tensor = self.last(features)
        if self.projection is not None:
            assert classes is not None  # the training loop sees to it
            share = self.projection(features, classes)
            logits = logits + functional.adaptive_avg_pool2d(
                share, (logits.shape[2], logits.shape[3])
            )
        return logits


def _feature_head(channels: int, width: int, downs: int, classes: int) -> Head:
    """A head on frozen features that halves them `downs` times."""
    trunk = nn.Sequential(
        spectral_norm(nn.Conv2d(channels, width, 1)),
        nn.LeakyReLU(0.2),
        *(_down_block(width, width) for _ in range(downs)),
    )
    return Head(trunk, spectral_norm(nn.Conv2d(width, 1, 3, padding=1)), width, classes)


def _patch_head(width: int, classes: int) -> Head:
    """A head on pixels that looks at patches of 22 pixels."""
    trunk = nn.Sequential(
        spectral_norm(nn.Conv2d(3, width, 4, stride=2, padding=1)),
        nn.LeakyReLU(0.2),
        _down_block(width, 2 * width),
    )
    last = spectral_norm(nn.Conv2d(2 * width, 1, 4, stride=2, padding=1))
    return Head(trunk, last, 2 * width, classes)


def _colour_head(width: int, classes: int) -> Head:
    """A head on a small grid of mean colours."""
    trunk = nn.Sequential(
        spectral_norm(nn.Conv2d(3, width, 3, padding=1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(width, width, 3, stride=2, padding=1)),
        nn.LeakyReLU(0.2),
    )
    return Head(trunk, spectral_norm(nn.Conv2d(width, 1, 3, padding=1)), width, classes)


class ProjectedDiscriminator(DiscriminatorNetwork):
    """Four heads on frozen features, a patch and a colour discriminator on pixels.

    Args:
        multiplier: scales the heads' widths.
        size: input size of the frozen network.
        classes: number of classes to judge by, else 0.
    """

    has_frozen_features = True

    def __init__(self, multiplier: float = 1.0, size: int = 128, classes: int = 0) -> None:
        super().__init__()
        self.features = FrozenFeatures(size)
        channels = self.features.channels
        widths = [max(8, round(w * multiplier)) for w in HEAD_WIDTHS]
        self.heads = nn.ModuleList(
            _feature_head(c, w, downs, classes)
            for c, w, downs in zip(channels, widths, (3, 2, 1, 0), strict=True)
        )
        narrow = max(8, round(32 * multiplier))
        self.patches = _patch_head(narrow, classes)
        self.colours = _colour_head(narrow, classes)
        for level, count in enumerate(channels):
            self.register_buffer(f"shift{level}", torch.zeros(count, 1, 1))
            self.register_buffer(f"scale{level}", torch.ones(count, 1, 1))

    @torch.no_grad()
    def fit_statistics(self, images: torch.Tensor) -> None:
        """Sets the mean and the spread of every feature channel from augmented reals.

        Args:
            images: N x 3 x H x W in [-1, 1].
        """
        parts = [self.features(part) for part in images.split(32)]
        for level in range(len(self.heads)):
            maps = torch.cat([part[level] for part in parts])
            variance, mean = torch.var_mean(maps, dim=(0, 2, 3), correction=0)
            scale = torch.rsqrt(variance + SMALLEST_VARIANCE)
            self.get_buffer(f"scale{level}").copy_(scale[:, None, None])
            self.get_buffer(f"shift{level}").copy_((-mean * scale)[:, None, None])

    def observe(self, images: torch.Tensor) -> Observation:
        """The frozen part: standardised features at four strides, then the pixels themselves.

        Args:
            images: augmented, N x 3 x H x W in [-1, 1].

        Returns:
            Five maps; differentiable with respect to the images.
        """
        standardised = [
            torch.addcmul(self.get_buffer(f"shift{level}"), maps, self.get_buffer(f"scale{level}"))
            for level, maps in enumerate(self.features(images))
        ]
        return (*standardised, images)

    def forward(
        self, observation: Observation, classes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The trainable part: logits of real, N x K, one for every place that a head looks at.

        Args:
            observation: what `observe` returned.
            classes: int64 N for a class-conditional discriminator.
        """
        *maps, pixels = observation
        means = functional.adaptive_avg_pool2d(pixels, COLOUR_GRID)
        logits = [head(m, classes) for head, m in zip(self.heads, maps, strict=True)]
        logits += [self.patches(pixels, classes), self.colours(means, classes)]
        return torch.cat([part.flatten(1) for part in logits], dim=1)

    def state_to_keep(self) -> dict[str, torch.Tensor]:
        """The state without the frozen network, which comes from its own package."""
        state = self.state_dict()
        return {k: v for k, v in state.items() if not k.startswith("features.")}
