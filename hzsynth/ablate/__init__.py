"""The ablation: which synthetic images help, how many, and how sure that is."""

import hzsynth.core  # noqa: F401  (first: it makes torchvision importable beside a CPU torch)
