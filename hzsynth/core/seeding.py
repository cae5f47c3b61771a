"""A private random generator for every purpose, derived from one root seed.

Two purposes never share a stream, and a stream does not depend on how often another was
used: a resumed run, another batch size or one more metric cannot change the draws. The
derivation is SHA-256 over the root seed and the purpose, so it is stable across Python
versions and machines.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_seed(root: int, *purpose: str | int) -> int:
    """Derives a 63-bit seed for one purpose.

    Args:
        root: the root seed that the user gave.
        *purpose: what the stream is for, such as ``"augment", step``.

    Returns:
        An integer in [0, 2**63).
    """
    text = "\x1f".join([str(int(root)), *(f"{type(p).__name__}:{p}" for p in purpose)])
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_generator(root: int, *purpose: str | int) -> np.random.Generator:
    """Returns a NumPy generator for one purpose (see `derive_seed`)."""
    return np.random.default_rng(derive_seed(root, *purpose))


def torch_generator(
    root: int, *purpose: str | int, device: "torch.device | str" = "cpu"
) -> "torch.Generator":
    """Returns a torch generator on `device` for one purpose (see `derive_seed`)."""
    # Here and not above: the processes that only read photographs do without torch.
    import torch

    return torch.Generator(device=device).manual_seed(derive_seed(root, *purpose))
