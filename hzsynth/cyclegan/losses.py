"""The losses of CycleGAN (Zhu et al. 2017, equations 1 to 3, and section 5.2).

All inputs are images in [-1, 1] or maps of realness; all results are scalars. The one
augmentation that the discriminators see is here too.
"""

import torch
from torch.nn import functional


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Least-squares loss of a discriminator, halved as published (section 4).

    Args:
        real: realness of photographs, N x 1 x H x W.
        fake: realness of translations, N x 1 x H x W.

    Returns:
        ``((real - 1)^2 + fake^2) / 2``, averaged.
    """
    return 0.5 * ((real.float() - 1).square().mean() + fake.float().square().mean())


def adversarial_loss(fake: torch.Tensor) -> torch.Tensor:
    """Least-squares loss of a generator: translations should be judged 1."""
    return (fake.float() - 1).square().mean()


def cycle_loss(images: torch.Tensor, returned: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of an image and its translation there and back (equation 2)."""
    return functional.l1_loss(returned.float(), images.float())


def identity_loss(images: torch.Tensor, unchanged: torch.Tensor) -> torch.Tensor:
    """Mean absolute change of an image that already is of the target domain (section 5.2)."""
    return functional.l1_loss(unchanged.float(), images.float())


def shift_images(images: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Shifts every image by a random number of pixels; what leaves on one side is repeated edge.

    The translation of DiffAugment (Zhao et al. 2020), for small sets; without its colour, which
    is what the discriminators have to judge here.

    Args:
        images: N x 3 x H x W.
        share: largest shift as a share of the side.
        generator: CPU source of the shifts.

    Returns:
        N x 3 x H x W, differentiable.
    """
    largest = round(share * images.shape[-1])
    if largest == 0:
        return images
    padded = functional.pad(images, (largest,) * 4, mode="replicate")
    height, width = images.shape[-2:]
    offsets = torch.randint(2 * largest + 1, (len(images), 2), generator=generator).tolist()
    return torch.stack(
        [
            picture[:, top : top + height, left : left + width]
            for picture, (top, left) in zip(padded, offsets, strict=True)
        ]
    )
