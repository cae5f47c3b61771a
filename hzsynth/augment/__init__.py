"""Augmentation strategies, the plan of a ratio, and the sets that are built by it."""

import os

# Otherwise importing albumentations asks a package registry for updates.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
