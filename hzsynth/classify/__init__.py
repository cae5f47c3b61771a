"""Classifiers: fine-tuning, distillation by KDE-CT, and evaluation on real photographs."""

import hzsynth.core  # noqa: F401  (first: it makes torchvision importable beside a CPU torch)
