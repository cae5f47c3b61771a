"""How close a generated set is to the photographs, and whether it copies them."""

from hzsynth.core.torchvision_operators import declare_missing_operators

# Before anything of this room imports timm or torchvision.
declare_missing_operators()
