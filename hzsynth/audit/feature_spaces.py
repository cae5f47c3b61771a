"""The feature spaces in which the audit looks for copies.

Two networks see what a picture shows, and the pixels what it is made of.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from hzsynth.core.devices import Compute
from hzsynth.score.extractors import FeatureExtractor, create_extractor

Pixels = torch.Tensor
_PIXEL_SIDE = 24


@dataclass(frozen=True)
class FeatureSpace:
    """A way to compare pictures.

    Attributes:
        name: for the report.
        describe: uint8 N x 3 x H x W -> float32 N x D; near pictures have near vectors.
        mixes: whether a blend of two pictures has, but for its length, a mixture of their vectors.
    """

    name: str
    describe: Callable[[Pixels], torch.Tensor]
    mixes: bool = False


def default_feature_spaces(compute: Compute) -> tuple[FeatureSpace, ...]:
    """EfficientNet-Lite0 and Lite2 features (unit length), and standardised pixels."""
    networks = [
        create_extractor(name, compute=compute)
        for name in ("efficientnet-lite0", "efficientnet-lite2")
    ]
    return (
        *(network_space(network) for network in networks),
        pixel_space(),
    )


def network_space(extractor: FeatureExtractor) -> FeatureSpace:
    """Features scaled to unit length: the distance is a function of the angle."""
    return FeatureSpace(
        extractor.name, lambda pixels: functional.normalize(extractor(pixels), dim=1)
    )


def pixel_space() -> FeatureSpace:
    """Standardised pixels, in which a blend of two photographs lies between them."""
    return FeatureSpace("pixels", pixel_vectors, mixes=True)


def pixel_vectors(pixels: Pixels) -> torch.Tensor:
    """Pixels at 24 x 24, each picture with mean 0 and length 1: light and contrast do not count.

    Args:
        pixels: uint8 N x 3 x H x W.

    Returns:
        float32 N x 1728.
    """
    small = functional.interpolate(
        pixels.float() / 255, size=(_PIXEL_SIDE, _PIXEL_SIDE), mode="area"
    )
    flat = small.flatten(1)
    return functional.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1)
