"""Generators for tens of images: StyleGAN2 and a light one, with a projected discriminator."""
