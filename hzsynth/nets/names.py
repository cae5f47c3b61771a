"""What models are called here and in timm."""

LITE_NAMES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
"""Backbones whose ImageNet weights come with pip."""


def timm_name(name: str) -> str:
    """Timm's name of a model: ``efficientnet-lite0`` is ``tf_efficientnet_lite0`` there."""
    return f"tf_{name.replace('-', '_')}" if name in LITE_NAMES else name
