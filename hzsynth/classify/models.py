"""Classification networks: building, saving and asking them.

A network is split into a body, whose pooled features feed the head, and the head, a linear
layer. Inputs are uint8 RGB; the normalisation belongs to the network's pretrained weights and is
stored with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from hzsynth.core.checkpoint import load_checkpoint, save_checkpoint
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir
from hzsynth.core.seeding import derive_seed
from hzsynth.nets.backbones import create_backbone, load_weights
from hzsynth.nets.names import LITE_NAMES

MODEL = "model.safetensors"
CHECKPOINT_KIND = "classifier"
RUN_KINDS = ("classify", "kdect")

Triple = tuple[float, float, float]
Normalisation = tuple[Triple, Triple]
"""Mean and standard deviation of each colour, on [0, 1] pixels."""

_AT_ONCE = 64
_HALF: Triple = (0.5, 0.5, 0.5)
_IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
_IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


def normalisation(model: str) -> Normalisation:
    """Mean and standard deviation, on [0, 1] pixels, that a model's weights were trained with."""
    return (_HALF, _HALF) if model in LITE_NAMES else (_IMAGENET_MEAN, _IMAGENET_STD)


def create_network(
    model: str, *, classes: int, pretrained: str | Path, seed: int, purpose: str = "network"
) -> nn.Module:
    """Builds a network whose random weights follow from a seed; its head starts from zero.

    Args:
        model: a timm model or an EfficientNet-Lite (see `nets.backbones.create_backbone`).
        classes: outputs.
        pretrained: ``imagenet``, ``none``, a weights file, or the directory of a classifier's run,
            whose body is taken and whose head is not.
        seed: root seed.
        purpose: separates networks of one root seed.

    Returns:
        The network: float N x 3 x H x W -> N x classes logits.

    Raises:
        InputError: the model is not known, its weights are missing, or it has no linear head.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "classify", purpose, model))
        own = is_run(pretrained)
        network = create_backbone(
            model, num_classes=classes, pretrained="none" if own else pretrained
        )
    if own:
        load_weights(network, _stored(RunDir.load(Path(pretrained)))["weights"], str(pretrained))
    head = _head(network)
    if not isinstance(head, nn.Linear):
        raise InputError(f"model '{model}' has no linear classification head and cannot be used")
    # From zero every class is equally likely: random logits would be unlearned first.
    nn.init.zeros_(head.weight)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
    return network


def _head(network: nn.Module) -> nn.Module:
    head: nn.Module = network.get_classifier()  # type: ignore[operator]
    return head


def head_of(network: nn.Module) -> nn.Linear:
    """The linear layer that turns pooled features into logits."""
    head = _head(network)
    assert isinstance(head, nn.Linear)
    return head


def pooled_features(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """What the head sees: N x D, for normalised inputs N x 3 x H x W."""
    maps = network.forward_features(inputs)  # type: ignore[operator]
    features: torch.Tensor = network.forward_head(maps, pre_logits=True)  # type: ignore[operator]
    return features


def placed(network: nn.Module, compute: Compute) -> nn.Module:
    """The network on the device, in the memory layout of its image batches."""
    moved: nn.Module = network.to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    return moved


def to_unit(pixels: torch.Tensor, compute: Compute) -> torch.Tensor:
    """Brings uint8 N x 3 x H x W to float in [0, 1] on the device, channels last."""
    moved = pixels.to(compute.device, non_blocking=True).float().div_(255.0)
    return moved.contiguous(memory_format=compute.memory_format)


def normalise(unit: torch.Tensor, mean: Triple, std: Triple) -> torch.Tensor:
    """Maps [0, 1] pixels N x 3 x H x W to the range of the network's weights."""
    centre = unit.new_tensor(mean).view(1, 3, 1, 1)
    scale = unit.new_tensor(std).view(1, 3, 1, 1)
    return (unit - centre) / scale


@dataclass(frozen=True)
class PixelNetwork:
    """A network that is asked about pixels: it brings its normalisation, device and precision.

    Attributes:
        network: on the device; in the mode that the caller has set.
        normalisation: of its input.
        compute: device and precision.
    """

    network: nn.Module
    normalisation: Normalisation
    compute: Compute

    def __call__(self, unit: torch.Tensor) -> torch.Tensor:
        """Logits, float32 N x C, for float N x 3 x H x W in [0, 1] on the device."""
        with self.compute.autocast():
            inputs = unit.contiguous(memory_format=self.compute.memory_format)
            logits: torch.Tensor = self.network(normalise(inputs, *self.normalisation))
        return logits.float()

    @torch.no_grad()
    def logits(self, pixels: torch.Tensor, batch: int = _AT_ONCE) -> torch.Tensor:
        """Logits of a network in evaluation mode: uint8 N x 3 x H x W -> float32 N x C on the CPU."""
        parts = [self(to_unit(chunk, self.compute)).cpu() for chunk in pixels.split(batch)]
        return torch.cat(parts)

    @torch.no_grad()
    def features(self, pixels: torch.Tensor, batch: int = _AT_ONCE) -> torch.Tensor:
        """What the head sees: uint8 N x 3 x H x W -> float32 N x D on the device."""
        parts = []
        for chunk in pixels.split(batch):
            with self.compute.autocast():
                inputs = normalise(to_unit(chunk, self.compute), *self.normalisation)
                parts.append(pooled_features(self.network, inputs).float())
        return torch.cat(parts)

    def with_network(self, network: nn.Module) -> "PixelNetwork":
        """Another network, asked in the same way."""
        return replace(self, network=network)


@dataclass
class Classifier:
    """A trained network with everything needed to ask it.

    Attributes:
        model: the architecture's name.
        network: in evaluation mode.
        labels: class names in the order of the outputs.
        label: the target class.
        size: side of the input, pixels.
        mean: of the normalisation, on [0, 1] pixels.
        std: of the normalisation.
    """

    model: str
    network: nn.Module
    labels: tuple[str, ...]
    label: str
    size: int
    mean: Triple
    std: Triple

    @torch.no_grad()
    def logits(
        self, pixels: torch.Tensor, compute: Compute = CPU_FP32, batch: int = 64
    ) -> torch.Tensor:
        """Asks the network.

        Args:
            pixels: uint8 N x 3 x H x W of any size; resized with antialiasing when it differs.
            compute: device and precision.
            batch: images at once.

        Returns:
            float32 N x C logits on the CPU.
        """
        self.network.to(compute.device).eval()
        asked = self.pixel_network(compute)
        parts = [asked.logits(self._resized(chunk), batch) for chunk in pixels.split(batch)]
        return torch.cat([torch.empty(0, len(self.labels)), *parts])

    def pixel_network(self, compute: Compute) -> PixelNetwork:
        """Its network, to be asked about pixels of its size; the network is not moved."""
        return PixelNetwork(self.network, (self.mean, self.std), compute)

    def probabilities(
        self, pixels: torch.Tensor, compute: Compute = CPU_FP32, batch: int = 64
    ) -> NDArray[np.float32]:
        """Class probabilities: float32 N x C, every row sums to 1 (arguments as for `logits`)."""
        probabilities: NDArray[np.float32] = self.logits(pixels, compute, batch).softmax(1).numpy()
        return probabilities

    def _resized(self, pixels: torch.Tensor) -> torch.Tensor:
        if pixels.shape[-2:] == (self.size, self.size):
            return pixels
        resized = functional.interpolate(
            pixels.float(),
            size=(self.size, self.size),
            mode="bicubic",
            antialias=True,
            align_corners=False,
        )
        return resized.round_().clamp_(0, 255).to(torch.uint8)

    def save(self, path: Path) -> None:
        """Writes the classifier to a file that `load_classifier` reads."""
        state = {
            "model": self.model,
            "size": self.size,
            "labels": list(self.labels),
            "label": self.label,
            "mean": list(self.mean),
            "std": list(self.std),
            "weights": self.network.state_dict(),
        }
        save_checkpoint(path, CHECKPOINT_KIND, state)


def is_run(pretrained: str | Path) -> bool:
    """Whether pretrained weights are those of a run of one's own."""
    return str(pretrained) not in ("imagenet", "none") and Path(pretrained).is_dir()


def _stored(run: RunDir) -> dict[str, Any]:
    """The stored classifier of a finished run.

    Raises:
        InputError: the run is of another stage or not finished, or its file is damaged.
    """
    if run.kind not in RUN_KINDS:
        raise InputError(
            f"'{run.path}' is a run of '{run.kind}' and holds no classifier; "
            f"expected one of {' or '.join(RUN_KINDS)}"
        )
    if not run.finished:
        raise InputError(f"the run '{run.path}' is not finished: repeat its command to resume it")
    state: dict[str, Any] = load_checkpoint(run.path / MODEL, CHECKPOINT_KIND)
    return state


def load_classifier(run: RunDir) -> Classifier:
    """Reads the classifier of a finished run.

    Args:
        run: a run of `train_classifier` or `train_kdect` (of which it is the student).

    Returns:
        The classifier, in evaluation mode on the CPU.

    Raises:
        InputError: the run is of another stage or not finished, or its file is damaged.
    """
    state = _stored(run)
    labels = tuple(state["labels"])
    network = create_network(state["model"], classes=len(labels), pretrained="none", seed=0)
    network.load_state_dict(state["weights"])
    return Classifier(
        model=state["model"],
        network=network.eval(),
        labels=labels,
        label=state["label"],
        size=state["size"],
        mean=_triple(state["mean"]),
        std=_triple(state["std"]),
    )


def _triple(values: Sequence[float]) -> Triple:
    red, green, blue = values
    return red, green, blue
