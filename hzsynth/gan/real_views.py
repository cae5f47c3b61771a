"""The reals' side of training: which views of the photographs a step sees.

Every view (photograph, flip, augmentation) is drawn from (seed, number of the view), and
every step's choice from (seed, step): a resumed run sees what the uninterrupted one would
have seen, without any state. With a discriminator whose observation is costly, a bank of
views is observed once and drawn from (stored in half precision, bounded memory).
"""

from dataclasses import dataclass

import torch

from hzsynth.core.devices import Compute
from hzsynth.core.progress import Progress
from hzsynth.core.seeding import torch_generator
from hzsynth.gan.augmentation import BatchShare, DiscriminatorAugmentation
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import DiscriminatorNetwork, ObservedImages
from hzsynth.gan.networks import to_float

BANK_PART = 32
"""Views observed at once; fixed, so that the bank does not depend on the machine."""
EXPECTED_IMAGES_PER_SECOND = 40.0
BANK_SHARE = 0.2


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
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Draws augmented views of the reals, with replacement.

    Args:
        images: the training images.
        flip: mirror half of them.
        augment: what is done to each.
        count: number of views.
        generator: a CPU generator.
        share: only these views are made; the same as if all were.

    Returns:
        count x 3 x S x S, float, about [-1, 1], on the device of the images; and their classes.
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
    return augment(views, generator, share), classes


def bank_size(config: GanConfig, values_per_view: int) -> int:
    """How many views to keep: a fifth of what the run will ask for, within the memory's limit.

    Depends on the configuration alone, so that a resumed run builds the same bank.
    """
    images = config.kimg * 1000
    if config.minutes is not None:
        images = config.minutes * 60 * EXPECTED_IMAGES_PER_SECOND
    fits = config.bank_megabytes * 2**20 // (2 * values_per_view)
    size = min(config.bank_views, int(images * BANK_SHARE), fits)
    return max(BANK_PART, size // BANK_PART * BANK_PART)


class RealViews:
    """Gives every step its real observation.

    Args:
        images: the training images.
        config: the run's settings.
        discriminator: observes the views; a projected one must have fitted its statistics.
        augment: what is done to each view; with a strength that changes there is no bank.
        compute: where.
        progress: shows the making of the bank.
        share: this process's part of every batch, or None.
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
    ) -> None:
        self._images = images.to(compute.device)
        self._config, self._augment, self._share = config, augment, share
        self._discriminator = discriminator
        self._bank: ObservedImages | None = None
        if discriminator.has_frozen_features and augment.strength is None:
            self._bank = self._observe_bank(progress)

    def _views(self, part: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        generator = torch_generator(self._config.seed, "gan-bank", part)
        return real_views(self._images, self._config.flip, self._augment, BANK_PART, generator)

    @torch.no_grad()
    def _observe_bank(self, progress: Progress) -> ObservedImages:
        views, drawn = self._views(0)
        observed = self._discriminator.observe(views)
        classes = [] if drawn is None else [drawn]
        size = bank_size(self._config, sum(part[0].numel() for part in observed))
        bank = tuple(
            torch.empty(
                (size, *part.shape[1:]), dtype=torch.float16, device=part.device
            ).contiguous(memory_format=torch.channels_last)
            for part in observed
        )
        with progress.task("observing the reals", total=size, unit="img") as task:
            for start in range(0, size, BANK_PART):
                if start:
                    views, drawn = self._views(start // BANK_PART)
                    observed = self._discriminator.observe(views)
                    classes += [] if drawn is None else [drawn]
                for kept, part in zip(bank, observed, strict=True):
                    kept[start : start + BANK_PART] = part
                task.advance(BANK_PART)
        return ObservedImages(bank, torch.cat(classes) if classes else None)

    @torch.no_grad()
    def observation(self, step: int) -> ObservedImages:
        """What the discriminator is shown of the reals at a step: maps of `batch` views."""
        generator = torch_generator(self._config.seed, "gan-reals", step)
        if self._bank is None:
            views, classes = real_views(
                self._images,
                self._config.flip,
                self._augment,
                self._config.batch,
                generator,
                self._share,
            )
            return ObservedImages(self._discriminator.observe(views), classes)
        bank = self._bank.observation
        # The bank itself was drawn with every class as often.
        index = torch.randint(len(bank[0]), (self._config.batch,), generator=generator)
        if self._share is not None:
            index = index[self._share.rows]
        index = index.to(bank[0].device)
        shown = tuple(
            part[index].float().contiguous(memory_format=torch.channels_last) for part in bank
        )
        return ObservedImages(
            shown, None if self._bank.classes is None else self._bank.classes[index]
        )


def prepare_discriminator(
    discriminator: DiscriminatorNetwork, images: LearnedImages, config: GanConfig
) -> None:
    """Fits the statistics of frozen features to 128 augmented views of the reals."""
    if discriminator.has_frozen_features:
        generator = torch_generator(config.seed, "gan-statistics")
        views, _ = real_views(
            images, config.flip, DiscriminatorAugmentation(config), 128, generator
        )
        discriminator.fit_statistics(views)
