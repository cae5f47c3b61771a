"""Turns a trained generator into an ONNX file that makes images without torch.

The graph takes what an image is made from (z, the noise of all layers in one row, and the class of a
class-conditional generator) and gives uint8 images; truncation is part of it. Nothing is exported that
does not make the images that the network makes. The folder appears whole or not at all.
"""

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.files import atomic_write_bytes, atomic_write_text, replacing_folder
from hzsynth.core.onnx_files import open_session
from hzsynth.core.run import RunDir
from hzsynth.gan.generator_files import read_generator
from hzsynth.gan.interfaces import GeneratorNetwork
from hzsynth.gan.latent import latent_of_seeds
from hzsynth.gan.model_card import INTENDED_USE, model_card
from hzsynth.gan.networks import to_uint8
from hzsynth.gan.trained_generator import TrainedGenerator
from hzsynth.nets.onnx_graphs import onnx_graph
from hzsynth.version import __version__

MODEL_FILE, CARD_FILE, RESULT_FILE = "generator.onnx", "MODEL_CARD.md", "export.json"
METADATA_KEY = "hzsynth"
LARGEST_DIFFERENCE = 1
"""Of a pixel value between torch and onnxruntime: sums in another order may round to the next one."""

_CHECKED_SEEDS = 16


@dataclass(frozen=True)
class ExportedGenerator:
    """What was exported.

    Attributes:
        labels: class names, in the order of the input ``class``.
        resolution: side of the images in pixels.
        latent_width: length D of the input ``z``.
        noise_width: length K of the input ``noise``.
        truncation: inside the graph; None: none.
        run: id of the training run.
        largest_difference: of a pixel value between torch and onnxruntime.
        mean_difference: the mean of the same.
        checked_images: over how many images.
        megabytes: 10^6 bytes.
        version: of hzsynth.
    """

    labels: tuple[str, ...]
    resolution: int
    latent_width: int
    noise_width: int
    truncation: float | None
    run: str
    largest_difference: int
    mean_difference: float
    checked_images: int
    megabytes: float
    version: str

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)


class GeneratorGraph(nn.Module):
    """The whole way from random numbers to pixels.

    Args:
        network: the generator, on the CPU in evaluation mode.
        mean_styles: C x layers x D, the mean w of each class; None where w is not truncated.
        truncation: 1 leaves w, 0 gives the mean.
    """

    def __init__(
        self, network: GeneratorNetwork, mean_styles: torch.Tensor | None, truncation: float | None
    ) -> None:
        super().__init__()
        self.network = network
        self.sizes = network.noise_sizes
        self.truncation = truncation
        self.register_buffer("mean_styles", mean_styles)

    mean_styles: torch.Tensor

    def forward(
        self, z: torch.Tensor, noise: torch.Tensor, classes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """N x D, N x K and, if conditional, int64 N -> uint8 N x 3 x S x S."""
        parts = noise.split([size * size for size in self.sizes], dim=1)
        images = tuple(
            part.reshape(-1, 1, size, size) for part, size in zip(parts, self.sizes, strict=True)
        )
        codes = self.network.codes(z, classes)
        if self.truncation is not None:
            mean = self.mean_styles[classes] if classes is not None else self.mean_styles
            codes = mean + self.truncation * (codes - mean)
        return to_uint8(self.network.synthesise(codes, images, classes))


def graph_inputs(
    seeds: Sequence[int], network: GeneratorNetwork, classes: Sequence[int] | None
) -> dict[str, NDArray[Any]]:
    """What the graph is fed to make the images of some seeds, as `Generator.sample` makes them.

    Args:
        seeds: whole numbers from 0.
        network: the generator.
        classes: of a class-conditional one: the class of each image.
    """
    latent = latent_of_seeds(seeds, network.latent_width, network.noise_sizes, classes)
    noise = torch.cat([layer.flatten(1) for layer in latent.noise], dim=1)
    fed = {"z": latent.z.numpy(), "noise": noise.numpy()}
    if latent.classes is not None:
        fed["class"] = latent.classes.numpy()
    return fed


def export_generator(
    run: RunDir, out: Path, *, truncation: float | None = None, force: bool = False
) -> ExportedGenerator:
    """Exports the generator of a finished run.

    Args:
        run: a GAN run.
        out: the new folder.
        truncation: see `TrainedGenerator`; it becomes part of the graph.
        force: replace an earlier export at `out`.

    Returns:
        What was exported.

    Raises:
        InputError: no generator yet, truncation of one without w, a package is missing, or `out` is taken.
        RefusedError: the graph makes other images than the network. Nothing is written then.
    """
    _check_place(out, force)
    network, _, labels = read_generator(run)
    network = network.eval().requires_grad_(False)
    generator = TrainedGenerator(network, truncation=truncation)
    means = None if truncation is None else generator.mean_styles()
    graph = GeneratorGraph(copy.deepcopy(network), means, truncation).eval()
    seeds = range(_CHECKED_SEEDS)
    classes = [seed % len(labels) for seed in seeds] if network.classes else None
    fed = graph_inputs(seeds, network, classes)
    examples = {name: torch.from_numpy(value[:2]) for name, value in fed.items()}
    name = f"the generator of '{run.path}'"
    proto = onnx_graph(graph, examples, ("images",), name=name)
    difference = _difference(
        proto.SerializeToString(), fed, generator.sample(seeds, classes).numpy()
    )
    import onnx

    result = ExportedGenerator(
        labels=labels,
        resolution=network.resolution,
        latent_width=network.latent_width,
        noise_width=fed["noise"].shape[1],
        truncation=truncation,
        run=run.id,
        largest_difference=int(difference.max()),
        mean_difference=float(difference.mean()),
        checked_images=len(seeds),
        megabytes=proto.ByteSize() / 1e6,
        version=__version__,
    )
    facts = json.dumps(result.to_json(), ensure_ascii=False)
    onnx.helper.set_model_props(proto, {METADATA_KEY: facts, "use": INTENDED_USE})
    proto.producer_name, proto.producer_version = "hzsynth", __version__
    proto.doc_string = INTENDED_USE
    onnx.checker.check_model(proto)
    with replacing_folder(out) as folder:
        atomic_write_bytes(folder / MODEL_FILE, proto.SerializeToString())
        text = json.dumps(result.to_json(), indent=2, ensure_ascii=False)
        atomic_write_text(folder / RESULT_FILE, text + "\n")
        atomic_write_text(folder / CARD_FILE, model_card(run, run.result, result.to_json()))
    return result


def _difference(
    graph: bytes, fed: dict[str, NDArray[Any]], expected: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """How far the graph's images are from the network's, pixel by pixel.

    Raises:
        RefusedError: too far.
    """
    difference: NDArray[np.int64] = np.abs(_images_of(graph, fed).astype(np.int64) - expected)
    if difference.max() > LARGEST_DIFFERENCE:
        raise RefusedError(
            f"the exported graph makes other images than the network: a pixel differs by "
            f"{difference.max()} of 255, allowed is {LARGEST_DIFFERENCE}"
        )
    return difference


def _images_of(graph: bytes, fed: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Images asked for at once, the first one asked for alone."""
    session = open_session(graph)
    together: NDArray[np.uint8] = session.run(None, fed)[0]
    together[:1] = session.run(None, {name: value[:1] for name, value in fed.items()})[0]
    return together


def _check_place(out: Path, force: bool) -> None:
    if out.is_file():
        raise InputError(f"`out` '{out}' is a file, expected a new folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not (out / RESULT_FILE).is_file():
        raise InputError(f"`out` '{out}' is not empty and holds no export; name a new folder")
    if not force:
        raise InputError(f"'{out}' holds an export already; use `force` or another `out`")
