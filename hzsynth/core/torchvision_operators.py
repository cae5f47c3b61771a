"""Lets torchvision be imported beside a CPU build of torch.

The registry's torchvision for Linux is compiled against the CUDA build of torch. Beside the
CPU build, which saves a user without a GPU several gigabytes, its compiled part cannot be loaded,
and then ``import torchvision`` fails on the fake kernels of operators that were never
declared. Declaring them mends the import. Nothing that hzsynth, timm or
torch-fidelity call needs the compiled operators (detection and image decoding).
"""

import ctypes
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch

_WITH_FAKE_KERNEL = ("nms", "qnms")
_SUPPRESSION = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_MISSING_IMAGE_CODEC = "Failed to load image Python extension"


def declare_missing_operators() -> bool:
    """Declares what torchvision's import needs when its compiled part cannot be loaded.

    Returns:
        Whether the compiled part is missing.
    """
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    libraries = [p for p in Path(spec.origin).parent.glob("_C*") if p.suffix in (".so", ".pyd")]
    try:
        for library in libraries:
            ctypes.CDLL(str(library))
    except OSError:
        for name in _WITH_FAKE_KERNEL:
            if not hasattr(torch.ops.torchvision, name):
                torch.library.define(f"torchvision::{name}", _SUPPRESSION)
        warnings.filterwarnings("ignore", message=_MISSING_IMAGE_CODEC)
        return True
    return False
