"""The table of kinds, and one photograph under one of them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hzsynth.classify.evaluate.imagenet_c import blur, digital, noise, weather
from hzsynth.core.errors import InputError
from hzsynth.core.seeding import numpy_generator

Floats = NDArray[np.float32]
Corrupt = Callable[[Floats, int, np.random.Generator], Floats]
"""(H x W x 3 in [0, 1], severity 1 to 5, random numbers) -> the same, not yet clipped."""

SIDE = 224
"""Pixels: the strengths are meant for photographs of this side."""
SEVERITIES = (1, 2, 3, 4, 5)

GROUPS: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
BENCHMARK = tuple(kind for kinds in GROUPS.values() for kind in kinds)
"""The 15 kinds that count."""
TUNING = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""Kinds that a method may be tuned on; they never count."""

_FUNCTIONS: dict[str, Corrupt] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "speckle_noise": noise.speckle_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "gaussian_blur": blur.gaussian_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "spatter": weather.spatter,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg,
    "saturate": digital.saturate,
}


def corrupt(
    pixels: NDArray[np.uint8], kind: str, severity: int, *, seed: int = 0, name: str = ""
) -> NDArray[np.uint8]:
    """One photograph under one corruption.

    Args:
        pixels: H x W x 3 uint8 sRGB; the strengths are meant for 224 x 224.
        kind: one of `BENCHMARK` or `TUNING`.
        severity: 1 to 5.
        seed: of the benchmark.
        name: of the photograph (its digest): it gets random numbers of its own, the same ones
            in whatever order photographs come.

    Returns:
        The same shape.

    Raises:
        InputError: no such kind or severity.
    """
    if kind not in _FUNCTIONS:
        allowed = ", ".join((*BENCHMARK, *TUNING))
        raise InputError(f"corruption '{kind}' is not known: {allowed}")
    if severity not in SEVERITIES:
        raise InputError(f"severity is 1 to 5, not {severity}")
    rng = numpy_generator(seed, "corruption", kind, str(severity), name)
    return digital.to_bytes(
        _FUNCTIONS[kind](pixels.astype(np.float32) / np.float32(255), severity, rng)
    )
