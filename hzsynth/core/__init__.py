"""The few types that every room shares; imports nothing else of hzsynth."""

from hzsynth.core.torchvision_operators import declare_missing_operators

declare_missing_operators()
