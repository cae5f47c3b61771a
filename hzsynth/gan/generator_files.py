"""The files of a run's generators: written, read, opened for sampling."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from hzsynth.core.checkpoint import load_checkpoint, save_checkpoint
from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import Generator, GeneratorNetwork
from hzsynth.gan.light import bake_spectral_norm
from hzsynth.gan.networks import build_generator, build_stored_generator, conditional_classes
from hzsynth.gan.trained_generator import TrainedGenerator

MODEL, LAST, MODEL_KIND = "model.safetensors", "last.safetensors", "gan-generator"


def save_generator(
    path: Path, weights: Mapping[str, torch.Tensor], config: GanConfig, labels: Sequence[str]
) -> None:
    """Writes a generator with all that is needed to rebuild it.

    Args:
        path: the file.
        weights: state of the averaged generator; plain weights are stored for its spectral norms.
        config: the run's settings.
        labels: class names of its images: several for a class-conditional generator.
    """
    # In training mode the spectral norm would go on iterating while it is baked.
    network = build_generator(config, conditional_classes(labels)).eval()
    network.load_state_dict(weights)
    bake_spectral_norm(network)
    state = {
        "config": config.model_dump(mode="json"),
        "labels": list(labels),
        "weights": network.state_dict(),
    }
    save_checkpoint(path, MODEL_KIND, state)


def read_generator(run: RunDir) -> tuple[GeneratorNetwork, GanConfig, tuple[str, ...]]:
    """The network of a run, on the CPU with plain weights, its settings and its class names.

    Raises:
        InputError: the run has no generator yet, or its file is damaged.
    """
    path = run.path / MODEL
    if not path.is_file():
        raise InputError(
            f"'{run.path}' holds no trained generator yet: repeat its training command to resume it"
        )
    stored = load_checkpoint(path, MODEL_KIND)
    network = build_stored_generator(stored)
    bake_spectral_norm(network)
    try:
        network.load_state_dict(stored["weights"])
    except RuntimeError:
        raise InputError(
            f"'{path}' holds other networks than this hzsynth builds from its settings: it was written "
            "by another version"
        ) from None
    return network, GanConfig.from_sources(None, stored["config"]), tuple(stored["labels"])


def load_generator(
    run: RunDir, compute: Compute = CPU_FP32, truncation: float | None = None
) -> Generator:
    """The trained generator of a run.

    Args:
        run: a finished GAN run.
        compute: where.
        truncation: see `TrainedGenerator`.

    Returns:
        The generator.

    Raises:
        InputError: the run has no generator yet, or its file is damaged.
    """
    network, _, _ = read_generator(run)
    return TrainedGenerator(network.to(compute.device), compute, truncation)


def network_of_class(run: RunDir, label: str | None) -> tuple[GeneratorNetwork, int | None]:
    """The network of a run and the number of the one class that it is to make.

    Args:
        run: a finished GAN run.
        label: the class; may be left out where the generator is not told one.

    Returns:
        The network on the CPU, and the class's number for a class-conditional one, else None.

    Raises:
        InputError: the run has no generator yet, or its file is damaged; a class that it did not
            learn, or none where one has to be named.
    """
    network, _, labels = read_generator(run)
    if label is not None and label not in labels:
        raise InputError(f"'{run.path}' makes {', '.join(labels)}, not '{label}'")
    if label is None and network.classes:
        raise InputError(f"name the class with `label`: '{run.path}' makes {', '.join(labels)}")
    number = labels.index(label) if label is not None and network.classes else None
    return network, number


def open_generator(
    run: RunDir,
    label: str | None = None,
    compute: Compute = CPU_FP32,
    truncation: float | None = None,
) -> tuple[TrainedGenerator, int | None]:
    """The trained generator of a run and the one class that it is to make.

    Args:
        run: a finished GAN run.
        label: the class; may be left out where the generator is not told one.
        compute: where.
        truncation: see `TrainedGenerator`.

    Returns:
        The generator, and the number of the class for a class-conditional one, else None.

    Raises:
        InputError: the run has no generator yet, or its file is damaged; a class that it did not
            learn, or none where one has to be named.
    """
    network, number = network_of_class(run, label)
    return TrainedGenerator(network.to(compute.device), compute, truncation), number
