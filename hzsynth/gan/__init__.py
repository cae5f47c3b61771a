"""Generators for tens of images: StyleGAN2 and a light one, with a projected discriminator."""

import hzsynth.core  # noqa: F401  (first: it makes torchvision importable beside a CPU torch)
