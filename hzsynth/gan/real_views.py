"""The reals' side of training: which views of the photographs a step sees.

Every view (photograph, flip, augmentation) is drawn from (seed, number of the view), and
every step's choice from (seed, step): a resumed run sees what the uninterrupted one would
have seen, without any state. With a discriminator whose observation is costly, views are drawn from a
bank of observed ones (see `view_bank`).
"""

from dataclasses import dataclass

import torch

from hzsynth.core.devices import Compute
from hzsynth.core.progress import Progress
from hzsynth.core.seeding import torch_generator
from hzsynth.gan.augmentation import BatchShare, DiscriminatorAugmentation
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import BeforeAugmentation, DiscriminatorNetwork, ObservedImages
from hzsynth.gan.networks import to_float
from hzsynth.gan.view_bank import BANK_PART, ViewBank, bank_size

_STATISTICS_VIEWS = 128


@dataclass(frozen=True)
class LearnedImages:
    """What a generator learns from.

    Attributes:
        pixels: uint8 N x 3 x S x S.
        classes: int64 N, which class each is of; None when the model is not told.
        class_count: how many classes the model is told; some may have no image here.
    """

    pixels: torch.Tensor
    classes: torch.Tensor | None = None
    class_count: int = 0

    def to(self, device: torch.device) -> "LearnedImages":
        """The same on another device."""
        classes = None if self.classes is None else self.classes.to(device)
        return LearnedImages(self.pixels.to(device), classes, self.class_count)

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draws rows with replacement, int64; with classes each class is as likely as any other."""
        if self.classes is None:
            return torch.randint(len(self.pixels), (count,), generator=generator)
        classes = self.classes.cpu()
        rows = [torch.nonzero(classes == c).flatten() for c in classes.unique()]
        chosen = torch.randint(len(rows), (count,), generator=generator).tolist()
        places = torch.rand(count, generator=generator).tolist()
        return torch.stack(
            [rows[c][int(p * len(rows[c]))] for c, p in zip(chosen, places, strict=True)]
        )


def real_views(
    images: LearnedImages,
    flip: bool,
    augment: DiscriminatorAugmentation,
    count: int,
    generator: torch.Generator,
    share: BatchShare | None = None,
) -> tuple[BeforeAugmentation, torch.Tensor | None]:
    """Draws views of the reals, with replacement, and what augments them.

    Args:
        images: the training images.
        flip: mirror half of them.
        augment: what is done to each.
        count: number of views.
        generator: a CPU generator.
        share: only these views are made; the same as if all were.

    Returns:
        The views on the device of the images, to be augmented; and their classes.
    """
    device = images.pixels.device
    index = images.draw(count, generator).to(device)
    mirrored = torch.rand(count, generator=generator) < 0.5
    if share is not None:
        index, mirrored = index[share.rows.to(device)], mirrored[share.rows]
    views = to_float(images.pixels[index])
    if flip:
        views = torch.where(mirrored.to(device)[:, None, None, None], views.flip(3), views)
    classes = None if images.classes is None else images.classes[index]
    return BeforeAugmentation(views, augment.drawn(count, generator, share)), classes


class RealViews:
    """Gives every step its real observation.

    Args:
        images: the training images.
        config: the run's settings.
        discriminator: observes the views; its statistics, if it has any, are fitted.
        augment: what is done to each view; with a strength that changes there is no bank.
        compute: where.
        progress: shows the making of the bank.
        share: this process's part of every batch, or None.
        step: the first that will be asked for.
    """

    def __init__(
        self,
        images: LearnedImages,
        config: GanConfig,
        discriminator: DiscriminatorNetwork,
        augment: DiscriminatorAugmentation,
        compute: Compute,
        progress: Progress,
        share: BatchShare | None = None,
        step: int = 0,
    ) -> None:
        self._images = images.to(compute.device)
        self._config, self._augment, self._share = config, augment, share
        self._discriminator, self._progress = discriminator, progress
        self._bank: ViewBank | None = None
        if discriminator.has_frozen_features and augment.strength is None:
            values = sum(part[0].numel() for part in self._part(0).observation)
            size = bank_size(config, values)
            if size:
                self._bank = ViewBank(self._part, size, config.batch)
                self._bank.move_to(step, progress)

    @torch.no_grad()
    def _part(self, number: int) -> ObservedImages:
        generator = torch_generator(self._config.seed, "gan-bank", number)
        return self._observed(BANK_PART, generator, None)

    def _observed(
        self, count: int, generator: torch.Generator, share: BatchShare | None
    ) -> ObservedImages:
        flip = self._config.flip
        before, classes = real_views(self._images, flip, self._augment, count, generator, share)
        observation = self._discriminator.observe(before.augment(before.images))
        return ObservedImages(observation, classes, before)

    @torch.no_grad()
    def observation(self, step: int) -> ObservedImages:
        """What the discriminator is shown of the reals at a step: maps of `batch` views."""
        generator = torch_generator(self._config.seed, "gan-reals", step)
        batch = self._config.batch
        if self._bank is None:
            return self._observed(batch, generator, self._share)
        self._bank.move_to(step, self._progress)
        # The bank itself was drawn with every class as often.
        rows = torch.randint(len(self._bank), (batch,), generator=generator)
        return self._bank.shown(rows if self._share is None else rows[self._share.rows])


def prepare_discriminator(
    discriminator: DiscriminatorNetwork, images: LearnedImages, config: GanConfig
) -> None:
    """Fits the statistics of frozen features to 128 augmented views of the reals."""
    if discriminator.has_frozen_features:
        augment = DiscriminatorAugmentation(config)
        generator = torch_generator(config.seed, "gan-statistics")
        before, _ = real_views(images, config.flip, augment, _STATISTICS_VIEWS, generator)
        discriminator.fit_statistics(before.augment(before.images))
