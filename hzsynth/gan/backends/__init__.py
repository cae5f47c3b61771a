"""Whose networks, losses, rates and defaults a run takes: one object a backend."""

from hzsynth.gan.backends.base import Backend
from hzsynth.gan.backends.native import Native
from hzsynth.gan.backends.stylegan2_pytorch import StyleGAN2PyTorch

BACKENDS: tuple[Backend, ...] = (Native(), StyleGAN2PyTorch())


def backend_named(name: str) -> Backend:
    """The backend of a name, which must be one of `BACKENDS`."""
    return next(backend for backend in BACKENDS if backend.name == name)
