"""Variation of images while training: every image, each time it is seen, alike in every class and arm.

When only the filled class is augmented, or augmented before it is reduced to the network's input, blur,
tilt and grey holes predict the label, and a network learns them instead of the disease. Here nobody
is left out: what is varied, and how, follows from (seed, step, place in the batch) and never from the
class or from what else the set holds.
"""

from dataclasses import dataclass

import numpy as np
import torch

from hzsynth.augment.strategies import Augmenter
from hzsynth.core.seeding import derive_seed


@dataclass(frozen=True)
class Variation:
    """Varies every image of a batch.

    Attributes:
        augmenter: the strategies, at the size of the network's input.
        seed: root of the draws.
    """

    augmenter: Augmenter
    seed: int

    def __call__(self, pixels: torch.Tensor, step: int) -> torch.Tensor:
        """Varies the images of a batch.

        Args:
            pixels: uint8 B x 3 x H x W.
            step: of the training; -1 for views that are made once.

        Returns:
            The varied images, of the same shape.
        """
        varied = torch.empty_like(pixels)
        for place, image in enumerate(pixels):
            seed = derive_seed(self.seed, "classify", "variation", step, place) % 2**32
            picture, _ = self.augmenter(np.ascontiguousarray(image.permute(1, 2, 0).numpy()), seed)
            varied[place] = torch.from_numpy(picture).permute(2, 0, 1)
        return varied
