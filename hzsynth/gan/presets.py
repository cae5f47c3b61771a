"""Settings that go together, chosen by how many photographs there are and on what is computed."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

PresetName = Literal["tiny", "small", "standard"]

ENOUGH_FOR_STYLEGAN2 = 1000
"""From this number of photographs on a discriminator can learn to see from scratch."""

PRESETS: Mapping[PresetName, Mapping[str, object]] = MappingProxyType(
    {
        # Tens of photographs, or no GPU: recognisable lesions after minutes on two CPU cores.
        "tiny": {"generator": "light", "discriminator": "projected", "kimg": 60.0},
        # Up to some hundreds on a GPU: the same pair, wider and longer.
        "small": {
            "generator": "light",
            "discriminator": "projected",
            "channel_multiplier": 2.0,
            "feature_size": 224,
            "kimg": 400.0,
            "snapshot_kimg": 20.0,
            "snapshot_samples": 256,
        },
        # Thousands on a GPU: StyleGAN2 as published, with ADA.
        "standard": {
            "generator": "stylegan2",
            "discriminator": "stylegan2",
            "augment": "ada",
            "channel_multiplier": 2.0,
            "mapping_layers": 8,
            "mapping_rate": 0.01,
            "style_mixing": 0.9,
            "path_length_weight": 2.0,
            "batch": 32,
            "kimg": 3000.0,
            "ema": 0.999,
            "snapshot_kimg": 50.0,
            "snapshot_samples": 512,
        },
    }
)


def choose_preset(photographs: int, on_gpu: bool) -> tuple[PresetName, str]:
    """The preset that suits, and why.

    Args:
        photographs: number of training photographs.
        on_gpu: whether a GPU computes.

    Returns:
        Its name and a sentence.
    """
    if not on_gpu:
        return "tiny", (
            f"preset tiny: without a GPU the light generator with the projected discriminator shows "
            f"lesions after minutes ({photographs} photographs)"
        )
    if photographs < ENOUGH_FOR_STYLEGAN2:
        return "small", (
            f"preset small: {photographs} photographs are too few for a discriminator that learns to "
            f"see from scratch (from {ENOUGH_FOR_STYLEGAN2} on)"
        )
    return "standard", (
        f"preset standard: {photographs} photographs and a GPU suffice for StyleGAN2 with ADA"
    )
