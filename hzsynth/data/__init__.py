"""Skin photographs: decoding, duplicates, splits, skin tone, lesions, and the sources of images."""

import hzsynth.core  # noqa: F401  (first: it makes torchvision importable beside a CPU torch)
