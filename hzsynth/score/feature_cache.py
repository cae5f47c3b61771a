"""Features that were computed before, kept by the content of each image.

A space (extractor, its weights, preprocessing and size) is a folder of small safetensors files,
each written once and never changed: the sha256 of some images and their features. So a set
that grew costs only what is new, and two commands at once do not disturb each other. A damaged
file counts as absent. The whole folder may be deleted at any time.
"""

import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hzsynth.core.errors import InputError
from hzsynth.core.files import replacing


def default_cache_folder() -> Path:
    """``HZSYNTH_CACHE``, or ``~/.cache/hzsynth/features``."""
    default = Path.home() / ".cache" / "hzsynth" / "features"
    return Path(os.environ.get("HZSYNTH_CACHE") or default)


class FeatureCache:
    """The features of one space.

    Args:
        folder: the cache's folder, shared by all spaces; None keeps features in memory only.
        space: everything besides the image on which its features depend.
        dim: length D of a vector.

    Attributes:
        problem: why nothing can be kept, in a sentence; empty while all is well.
    """

    def __init__(self, folder: Path | None, space: tuple[str, ...], dim: int) -> None:
        self.problem = ""
        self._known: dict[str, torch.Tensor] = {}
        self._folder = None
        if folder is None:
            return
        identity = hashlib.sha256("\x1f".join(space).encode()).hexdigest()
        self._folder = folder / f"{space[0]}-{identity[:32]}"
        try:
            files = sorted(self._folder.glob("*.safetensors"))
        except OSError:
            files = []
        for file in files:
            self._read(file, dim)

    def _read(self, file: Path, dim: int) -> None:
        try:
            content = load_file(file)
            digests, features = content["sha256"], content["features"]
        except (SafetensorError, OSError, KeyError):
            return
        if digests.shape == (len(features), 32) and features.shape[1:] == (dim,):
            for digest, row in zip(digests.numpy(), features, strict=True):
                self._known[digest.tobytes().hex()] = row

    def get(self, sha256: str) -> torch.Tensor | None:
        """The features of an image, float32 D, or None when they are not known."""
        return self._known.get(sha256)

    def add(self, sha256: list[str], features: torch.Tensor) -> None:
        """Keeps features; when the folder cannot be written, `problem` says so.

        Args:
            sha256: of the images' bytes.
            features: float32 N x D, one row an image.
        """
        self._known.update(zip(sha256, features, strict=True))
        if self._folder is None or self.problem or not sha256:
            return
        digests = torch.tensor([list(bytes.fromhex(s)) for s in sha256], dtype=torch.uint8)
        name = hashlib.sha256("".join(sha256).encode()).hexdigest()[:32]
        try:
            with replacing(self._folder / f"{name}.safetensors") as temporary:
                save_file({"sha256": digests, "features": features.contiguous()}, temporary)
        except (InputError, SafetensorError) as error:
            self.problem = f"features are not kept for the next time: {error}"
