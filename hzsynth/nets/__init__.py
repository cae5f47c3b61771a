"""Networks that more than one room uses."""

import hzsynth.core  # noqa: F401  (first: it makes torchvision importable beside a CPU torch)
