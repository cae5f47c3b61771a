"""Against steganography (Chu et al. 2017): what a translation goes through before its way back.

A generator can hide the lesion that it erases in fine detail and paint it again on the way back: the
cycle loss is low and the lesion gone. Noise or JPEG on the translation destroys what is hidden.
"""

import io

import numpy as np
import torch
from PIL import Image

_NOISE = 0.04
_QUALITIES = 50, 85


def with_noise(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Adds normal noise of five grey levels.

    Args:
        images: N x 3 x H x W in [-1, 1].
        generator: CPU source of the noise.

    Returns:
        The same shape, not clipped; differentiable.
    """
    noise = torch.randn(images.shape, generator=generator)
    return images + _NOISE * noise.to(images.device, images.dtype)


def with_jpeg(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Stores each image as JPEG at a random quality from 50 to 85 and reads it back.

    Args:
        images: N x 3 x H x W in [-1, 1].
        generator: CPU source of the qualities.

    Returns:
        The same shape; the gradient passes as if nothing had happened (straight-through).
    """
    low, high = _QUALITIES
    qualities = torch.randint(low, high + 1, (len(images),), generator=generator).tolist()
    levels = ((images.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    pictures = levels.to(torch.uint8).permute(0, 2, 3, 1).numpy()
    stored = []
    for picture, quality in zip(pictures, qualities, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
        stored.append(np.asarray(Image.open(buffer)))
    read = torch.from_numpy(np.stack(stored)).permute(0, 3, 1, 2).to(images.device)
    return images + (read.to(images.dtype) / 127.5 - 1 - images.detach())
