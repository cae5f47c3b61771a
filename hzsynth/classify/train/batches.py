"""Which images a training step sees, and how: every draw follows from (seed, step)."""

from dataclasses import dataclass
from typing import Protocol

import torch

from hzsynth.classify.train.config import FittingConfig
from hzsynth.classify.train.loading import LabelledImages, TrainingData
from hzsynth.classify.train.matching import Matching
from hzsynth.core.processes import Processes
from hzsynth.core.seeding import torch_generator


@dataclass(frozen=True)
class Batch:
    """The images of one step.

    Attributes:
        indices: int64 B, places in the training images.
        flipped: bool B, which are mirrored left to right.
        varied: bool B, which are augmented otherwise (see `Matching`).
        pixels: uint8 B x 3 x H x W, mirrored and augmented already.
        targets: int64 B; or float32 B x C, shares of the classes, where images are mixed.
    """

    indices: torch.Tensor
    flipped: torch.Tensor
    varied: torch.Tensor
    pixels: torch.Tensor
    targets: torch.Tensor


class BatchSource(Protocol):
    """Gives the batch of every step."""

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step; always the same one."""


class Batches:
    """The batches of a training, by step.

    Args:
        images: what is drawn from.
        size: images a batch.
        seed: root seed.
        balanced: draw the class first, each equally likely, then one of its images (with
            replacement); otherwise walk through a new permutation every epoch.
        flip: mirror half of the images.
        matching: varies photographs of the classes that were not filled; None leaves them.
    """

    def __init__(
        self,
        images: LabelledImages,
        size: int,
        seed: int,
        *,
        balanced: bool,
        flip: bool,
        matching: Matching | None = None,
    ) -> None:
        self._images, self._size, self._seed = images, size, seed
        self._balanced, self._flip, self._matching = balanced, flip, matching
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
        varied = torch.zeros(self._size, dtype=torch.bool)
        if self._matching is not None:
            pixels, varied = self._matching(pixels, indices, step)
        return Batch(indices, flipped, varied, pixels, self._images.learned[indices])

    def once(self) -> torch.Tensor:
        """Every training image once, varied as in a batch but not mirrored: uint8 N x 3 x H x W."""
        if self._matching is None:
            return self._images.pixels
        return self._matching(self._images.pixels, torch.arange(len(self._images)), -1)[0]

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


class Share:
    """One process's part of every batch.

    Args:
        batches: of all processes.
        rows: int64, which images of a batch are its own.
    """

    def __init__(self, batches: BatchSource, rows: torch.Tensor) -> None:
        self._batches, self._rows = batches, rows

    def __getitem__(self, step: int) -> Batch:
        whole, rows = self._batches[step], self._rows
        return Batch(
            whole.indices[rows],
            whole.flipped[rows],
            whole.varied[rows],
            whole.pixels[rows],
            whole.targets[rows],
        )


def share_of(batches: BatchSource, size: int, processes: Processes) -> BatchSource:
    """The part of every batch that this process computes.

    Args:
        batches: of `size` images each.
        size: images a batch.
        processes: that train together.

    Raises:
        InputError: the batch cannot be shared equally.
    """
    if processes.count == 1:
        return batches
    return Share(batches, processes.rows(size))


def make_batches(data: TrainingData, config: FittingConfig) -> Batches:
    """The batches that the settings of a training ask for."""
    matching = None
    if config.augment == "match":
        matching = Matching.for_records(data.records, data.train.targets, config.seed)
    return Batches(
        data.train,
        config.batch,
        config.seed,
        balanced=config.balanced_sampler,
        flip=config.augment != "none",
        matching=matching,
    )


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
