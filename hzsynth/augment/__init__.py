"""Augmentation strategies, the plan of a ratio, and the sets that are built by it."""

import os

import hzsynth.core  # noqa: F401  (first: it makes torchvision importable beside a CPU torch)

# Otherwise importing albumentations asks a package registry for updates.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
