"""How close a generated set is to the photographs, and whether it copies them."""

import hzsynth.core  # noqa: F401  (first: it makes torchvision importable beside a CPU torch)
