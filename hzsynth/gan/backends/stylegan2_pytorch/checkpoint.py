"""Reads the averaged generator of one of stylegan2-pytorch's own checkpoints."""

import json
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hzsynth.core.errors import InputError
from hzsynth.gan.backends.stylegan2_pytorch.networks import PackageGenerator, PackageSettings
from hzsynth.gan.backends.stylegan2_pytorch.package import VERSION


def read_checkpoint(path: Path) -> PackageGenerator:
    """The averaged generator of one of the package's checkpoints, ready for `TrainedGenerator`.

    Args:
        path: ``models/NAME/model_N.pt``. The networks' sizes are read from the weights; the
            ``.config.json`` beside it, if there, tells the mapping network's rate (else 0.1, as the
            package assumes).

    Returns:
        The generator, in evaluation mode.

    Raises:
        InputError: no such file, not such a checkpoint, one that holds more than weights, a
            generator of transparent images, or the package is not installed.
    """
    state = _read_weights(path)
    mapping, synthesis = _part(state, "SE."), _part(state, "GE.")
    try:
        settings = _settings_of(mapping, synthesis, _mapping_rate(path))
        network = PackageGenerator(settings)
        network.mapping.load_state_dict(mapping)
        network.synthesis.load_state_dict(synthesis)
    except (KeyError, IndexError, ValueError, RuntimeError):
        raise InputError(
            f"'{path}' does not hold the networks of stylegan2-pytorch {VERSION}"
        ) from None
    return network.eval().requires_grad_(False)


def _read_weights(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except pickle.UnpicklingError:
        raise InputError(
            f"'{path}' is refused: it is damaged or holds more than weights, which could run code "
            "when it is loaded"
        ) from None
    except (RuntimeError, EOFError, ValueError):
        raise InputError(f"'{path}' is damaged or no checkpoint") from None
    state = stored.get("GAN") if isinstance(stored, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(f"'{path}' is no checkpoint of stylegan2-pytorch (models/NAME/model_N.pt)")
    return state


def _part(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _settings_of(
    mapping: Mapping[str, torch.Tensor], synthesis: Mapping[str, torch.Tensor], rate: float
) -> PackageSettings:
    """Reads off the weights what the networks were built with.

    Raises:
        InputError: the images are transparent.
        KeyError: the weights are not those of the package's networks.
    """
    numbers = {int(name.split(".")[1]) for name in synthesis if name.startswith("blocks.")}
    layers = len(numbers)
    if synthesis["blocks.0.to_rgb.conv.weight"].shape[0] != 3:
        raise InputError("a checkpoint of transparent images (--transparent) cannot be used here")
    widths = [synthesis[f"blocks.{n}.conv2.weight"].shape[0] for n in range(layers)]
    attended = {int(name.split(".")[1]) for name in synthesis if name.startswith("attns.")}
    weights = [value for name, value in mapping.items() if name.endswith("weight")]
    return PackageSettings(
        resolution=4 << (layers - 1),
        latent_width=weights[0].shape[1],
        mapping_layers=len(weights),
        mapping_rate=rate,
        capacity=max(width >> (layers - n) for n, width in enumerate(widths)),
        widest=max(widths),
        attention_layers=tuple(sorted(layers - n for n in attended)),
        constant_start="initial_block" in synthesis,
    )


def _mapping_rate(path: Path) -> float:
    beside = path.parent / ".config.json"
    if not beside.is_file():
        return 0.1
    try:
        settings: Any = json.loads(beside.read_text(encoding="utf-8"))
        rate = float(settings.get("lr_mlp", 0.1))
    except (OSError, ValueError, TypeError, AttributeError):
        raise InputError(f"'{beside}' is not the package's settings as JSON") from None
    if not (math.isfinite(rate) and rate > 0):
        raise InputError(f"'{beside}': lr_mlp is a number above 0, not {rate}")
    return rate
