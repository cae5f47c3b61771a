"""Networks that more than one room uses."""

from hzsynth.core.torchvision_operators import declare_missing_operators

# Before anything of this room imports timm or torchvision.
declare_missing_operators()
