"""Augmentation of photographs while training, as often as the filled class shows it.

When only the rare class was filled with augmented images, blur, tilt and grey holes predict the
label, and a network learns them instead of the disease. Here the photographs of every other
class are varied in the same way and equally often, so that nothing but the picture is left to
learn from. What is varied, and how, follows from (seed, step, image).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hzsynth.augment.strategies import Augmenter, recorded_augmenter
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.seeding import derive_seed, torch_generator


def matching_shares(targets: torch.Tensor, augmented: torch.Tensor) -> torch.Tensor:
    """How often an image has to be varied for all classes to show augmentation equally often.

    With a class's share of augmented images a_c and the largest share a*, a plain image of
    the class is varied with probability (a* - a_c) / (1 - a_c); an augmented one never is.

    Args:
        targets: int64 N, the classes.
        augmented: bool N, which images are augmented already.

    Returns:
        float32 N, a probability for each image.
    """
    counts = torch.bincount(targets).double()
    shares = torch.bincount(targets, weights=augmented.double()) / counts.clamp(min=1)
    rest = (1 - shares).clamp(min=1e-12)
    wanted = ((shares.max() - shares) / rest)[targets].float()
    return torch.where(augmented, 0.0, wanted)


@dataclass(frozen=True)
class Matching:
    """Varies photographs so that augmentation tells nothing about the class.

    Attributes:
        augmenter: the strategies that the training set was built with.
        shares: float32 N, how often each training image is varied.
        seed: root of the draws.
    """

    augmenter: Augmenter
    shares: torch.Tensor
    seed: int

    @classmethod
    def for_records(
        cls, records: Sequence[ImageRecord], targets: torch.Tensor, seed: int
    ) -> "Matching | None":
        """The matching of a training set; None when its classes are equal in this already.

        Args:
            records: the N training images.
            targets: int64 N, their classes.
            seed: root of the draws.
        """
        augmented = torch.tensor([record.origin == "augmented" for record in records])
        shares = matching_shares(targets, augmented)
        if not shares.any():
            return None
        return cls(recorded_augmenter(records), shares, seed)

    def __call__(
        self, pixels: torch.Tensor, indices: torch.Tensor, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Varies some images of a batch.

        Args:
            pixels: uint8 B x 3 x H x W.
            indices: int64 B, their places in the training images.
            step: of the training; -1 for views that are made once.

        Returns:
            The pixels, and bool B, which of them are varied.
        """
        generator = torch_generator(self.seed, "classify", "matching", step)
        varied = torch.rand(len(indices), generator=generator) < self.shares[indices]
        if not varied.any():
            return pixels, varied
        pixels = pixels.clone()
        for place in varied.nonzero().flatten().tolist():
            seed = derive_seed(self.seed, "classify", "matching", step, place) % 2**32
            image = np.ascontiguousarray(pixels[place].permute(1, 2, 0).numpy())
            changed, _ = self.augmenter(image, seed)
            pixels[place] = torch.from_numpy(changed).permute(2, 0, 1)
        return pixels, varied
