"""Which images a training step sees, and how: every draw follows from (seed, step)."""

from dataclasses import dataclass
from typing import Protocol

import torch

from hzsynth.augment.strategies import recorded_augmenter
from hzsynth.classify.train.config import FittingConfig
from hzsynth.classify.train.loading import LabelledImages, TrainingData
from hzsynth.classify.train.variation import Variation
from hzsynth.core.processes import Processes
from hzsynth.core.seeding import torch_generator


@dataclass(frozen=True)
class Batch:
    """The images of one step.

    Attributes:
        indices: int64 B, places in the training images.
        flipped: bool B, which are mirrored left to right.
        varied: whether the images are varied beyond that (see `Variation`).
        pixels: uint8 B x 3 x H x W, mirrored and varied already.
        targets: int64 B; or float32 B x C, shares of the classes, where images are mixed.
    """

    indices: torch.Tensor
    flipped: torch.Tensor
    varied: bool
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
        balanced: draw the class first, each equally likely, then one of its views (with
            replacement); otherwise walk through a new permutation of all views every epoch.
        flip: mirror half of the images.
        variation: of every image; None leaves them.
    """

    def __init__(
        self,
        images: LabelledImages,
        size: int,
        seed: int,
        *,
        balanced: bool,
        flip: bool,
        variation: Variation | None = None,
    ) -> None:
        self._images, self._size, self._seed = images, size, seed
        self._balanced, self._flip, self._variation = balanced, flip, variation
        self._views = images.shown
        targets = images.targets[self._views]
        self._weights = 1.0 / torch.bincount(targets).float()[targets]

    def __getitem__(self, step: int) -> Batch:
        views = self._drawn(step) if self._balanced else self._walked(step)
        indices = self._views[views]
        flipped = torch.zeros(self._size, dtype=torch.bool)
        if self._flip:
            generator = torch_generator(self._seed, "classify", "flip", step)
            flipped = torch.rand(self._size, generator=generator) < 0.5
        pixels = self._images.pixels[indices]
        pixels = torch.where(flipped.view(-1, 1, 1, 1), pixels.flip(3), pixels)
        varied = self._variation is not None
        if self._variation is not None:
            pixels = self._variation(pixels, step)
        return Batch(indices, flipped, varied, pixels, self._images.learned[indices])

    def once(self) -> torch.Tensor:
        """Every view once, varied as in a batch but not mirrored: uint8 V x 3 x H x W."""
        pixels = self._images.pixels[self._views]
        return pixels if self._variation is None else self._variation(pixels, -1)

    def _drawn(self, step: int) -> torch.Tensor:
        generator = torch_generator(self._seed, "classify", "draw", step)
        return torch.multinomial(self._weights, self._size, replacement=True, generator=generator)

    def _walked(self, step: int) -> torch.Tensor:
        count, parts = len(self._views), []
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
            whole.varied,
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
    variation = None
    if config.augment == "vary":
        variation = Variation(recorded_augmenter(data.records), config.seed)
    return Batches(
        data.train,
        config.batch,
        config.seed,
        balanced=config.balanced_sampler,
        flip=config.augment != "none",
        variation=variation,
    )


def class_weights(targets: torch.Tensor, classes: int, balanced: bool) -> torch.Tensor:
    """Weights of the classes in the cross-entropy.

    Args:
        targets: int64 N, the classes of all views.
        classes: their number C.
        balanced: N / (C n_c), so that every class weighs the same; otherwise ones.

    Returns:
        float32 C.
    """
    if not balanced:
        return torch.ones(classes)
    counts = torch.bincount(targets, minlength=classes).float()
    return len(targets) / (classes * counts)
