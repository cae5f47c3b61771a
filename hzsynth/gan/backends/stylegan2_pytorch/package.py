"""The package stylegan2-pytorch itself, imported when its networks are built and not before."""

import importlib
import sys
import warnings
from functools import cache
from types import ModuleType

import torch

# Before torchvision, which the package imports.
import hzsynth.nets  # noqa: F401
from hzsynth.core.errors import InputError

VERSION = "1.9.0"
INSTALL = (
    "pip install 'hzsynth[stylegan2-pytorch]' && "
    f"pip install --no-deps stylegan2-pytorch=={VERSION}"
)

_NEEDED = ("einops", "kornia.filters", "torchvision", "vector_quantize_pytorch")
_UNNEEDED = ("aim", "fire")
"""Imported at the package's top for its own trainer and command line alone. aim is an experiment
tracker of 150 MB that also reports its use; neither touches a network."""


@cache
def import_package() -> ModuleType:
    """Imports the package's module, on machines without CUDA too.

    Returns:
        ``stylegan2_pytorch.stylegan2_pytorch``.

    Raises:
        InputError: the package or one that its networks need is not installed.
    """
    before = torch.cuda.is_available
    absent = [name for name in _UNNEEDED if name not in sys.modules]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in _NEEDED:
                importlib.import_module(name)
            sys.modules.update({name: ModuleType(name) for name in absent})
            torch.cuda.is_available = lambda: True
            return importlib.import_module("stylegan2_pytorch.stylegan2_pytorch")
    except ImportError as error:
        raise InputError(
            f"the networks of stylegan2-pytorch need {error.name}, which is not installed: {INSTALL}"
        ) from None
    finally:
        torch.cuda.is_available = before
        for name in absent:
            sys.modules.pop(name, None)
