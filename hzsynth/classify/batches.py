"""Which images a training step sees, and how: every draw follows from (seed, step)."""

from dataclasses import dataclass

import torch

from hzsynth.classify.loading import LabelledImages
from hzsynth.core.seeding import torch_generator


@dataclass(frozen=True)
class Batch:
    """The images of one step.

    Attributes:
        indices: int64 B, places in the training images.
        flipped: bool B, which are mirrored left to right.
        pixels: uint8 B x 3 x H x W, mirrored already.
        targets: int64 B.
    """

    indices: torch.Tensor
    flipped: torch.Tensor
    pixels: torch.Tensor
    targets: torch.Tensor


class Batches:
    """The batches of a training, by step.

    Args:
        images: what is drawn from.
        size: images a batch.
        seed: root seed.
        balanced: draw the class first, each equally likely, then one of its images (with
            replacement); otherwise walk through a new permutation every epoch.
        flip: mirror half of the images.
    """

    def __init__(
        self, images: LabelledImages, size: int, seed: int, *, balanced: bool, flip: bool
    ) -> None:
        self._images, self._size, self._seed = images, size, seed
        self._balanced, self._flip = balanced, flip
        counts = torch.bincount(images.targets).float()
        self._weights = 1.0 / counts[images.targets]

    def __getitem__(self, step: int) -> Batch:
        indices = self._drawn(step) if self._balanced else self._walked(step)
        flipped = torch.zeros(self._size, dtype=torch.bool)
        if self._flip:
            generator = torch_generator(self._seed, "classify", "flip", step)
            flipped = torch.rand(self._size, generator=generator) < 0.5
        pixels = self._images.pixels[indices]
        pixels = torch.where(flipped.view(-1, 1, 1, 1), pixels.flip(3), pixels)
        return Batch(indices, flipped, pixels, self._images.targets[indices])

    def _drawn(self, step: int) -> torch.Tensor:
        generator = torch_generator(self._seed, "classify", "draw", step)
        return torch.multinomial(self._weights, self._size, replacement=True, generator=generator)

    def _walked(self, step: int) -> torch.Tensor:
        count, parts = len(self._images), []
        start, end = step * self._size, (step + 1) * self._size
        for epoch in range(start // count, (end - 1) // count + 1):
            generator = torch_generator(self._seed, "classify", "epoch", epoch)
            order = torch.randperm(count, generator=generator)
            parts.append(order[max(0, start - epoch * count) : end - epoch * count])
        return torch.cat(parts)


def class_weights(targets: torch.Tensor, classes: int, balanced: bool) -> torch.Tensor:
    """Weights of the classes in the cross-entropy.

    Args:
        targets: int64 N, the training images' classes.
        classes: their number C.
        balanced: N / (C n_c), so that every class weighs the same; otherwise ones.

    Returns:
        float32 C.
    """
    if not balanced:
        return torch.ones(classes)
    counts = torch.bincount(targets, minlength=classes).float()
    return len(targets) / (classes * counts)
