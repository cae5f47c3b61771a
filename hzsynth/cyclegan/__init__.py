"""Mapping diseased photographs onto another skin, with the lesion kept."""

import hzsynth.core  # noqa: F401  (first: it makes torchvision importable beside a CPU torch)
