"""The reals' side of training: which views of the photographs a step sees.

Every view (photograph, flip, augmentation) is drawn from (seed, number of the view), and
every step's choice from (seed, step): a resumed run sees what the uninterrupted one would
have seen, without any state. With a discriminator whose observation is costly, a bank of
views is observed once and drawn from (stored in half precision, bounded memory).
"""

import torch

from hzsynth.core.devices import Compute
from hzsynth.core.progress import Progress
from hzsynth.core.seeding import torch_generator
from hzsynth.gan.augmentation import augment, draw_augmentation
from hzsynth.gan.config import GanConfig
from hzsynth.gan.networks import DiscriminatorNetwork, to_float
from hzsynth.gan.projected import Observation, ProjectedDiscriminator

BANK_PART = 32
"""Views observed at once; fixed, so that the bank does not depend on the machine."""
EXPECTED_IMAGES_PER_SECOND = 40.0
BANK_SHARE = 0.2


def real_views(
    pixels: torch.Tensor, config: GanConfig, count: int, generator: torch.Generator
) -> torch.Tensor:
    """Draws augmented views of the reals, with replacement.

    Args:
        pixels: the training images, uint8 N x 3 x S x S.
        config: tells whether to flip and to augment.
        count: number of views.
        generator: a CPU generator.

    Returns:
        count x 3 x S x S, float, about [-1, 1], on the device of `pixels`.
    """
    index = torch.randint(len(pixels), (count,), generator=generator)
    mirrored = torch.rand(count, generator=generator) < 0.5
    views = to_float(pixels[index.to(pixels.device)])
    if config.flip:
        views = torch.where(mirrored.to(pixels.device)[:, None, None, None], views.flip(3), views)
    if config.augment == "diffaugment":
        return augment(views, draw_augmentation(count, generator).to(pixels.device))
    return views.contiguous(memory_format=torch.channels_last)


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


class Reals:
    """Gives every step its real observation.

    Args:
        pixels: the training images, uint8 N x 3 x S x S.
        config: the run's settings.
        discriminator: observes the views; a projected one must have fitted its statistics.
        compute: where.
        progress: shows the making of the bank.
    """

    def __init__(
        self,
        pixels: torch.Tensor,
        config: GanConfig,
        discriminator: DiscriminatorNetwork,
        compute: Compute,
        progress: Progress,
    ) -> None:
        self._pixels = pixels.to(compute.device)
        self._config = config
        self._discriminator = discriminator
        self._bank: Observation | None = None
        if discriminator.costly_observation:
            self._bank = self._observe_bank(progress)

    def _views(self, part: int) -> torch.Tensor:
        generator = torch_generator(self._config.seed, "gan-bank", part)
        return real_views(self._pixels, self._config, BANK_PART, generator)

    @torch.no_grad()
    def _observe_bank(self, progress: Progress) -> Observation:
        observed = self._discriminator.observe(self._views(0))
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
                    observed = self._discriminator.observe(self._views(start // BANK_PART))
                for kept, part in zip(bank, observed, strict=True):
                    kept[start : start + BANK_PART] = part
                task.advance(BANK_PART)
        return bank

    @torch.no_grad()
    def observation(self, step: int) -> Observation:
        """What the discriminator is shown of the reals at a step: maps of `batch` views."""
        generator = torch_generator(self._config.seed, "gan-reals", step)
        if self._bank is None:
            views = real_views(self._pixels, self._config, self._config.batch, generator)
            return self._discriminator.observe(views)
        index = torch.randint(len(self._bank[0]), (self._config.batch,), generator=generator)
        index = index.to(self._bank[0].device)
        return tuple(
            part[index].float().contiguous(memory_format=torch.channels_last) for part in self._bank
        )


def prepare_discriminator(
    discriminator: DiscriminatorNetwork, pixels: torch.Tensor, config: GanConfig
) -> None:
    """Fits a projected discriminator's statistics to 128 augmented views of the reals."""
    if isinstance(discriminator, ProjectedDiscriminator):
        generator = torch_generator(config.seed, "gan-statistics")
        discriminator.fit_statistics(real_views(pixels, config, 128, generator))
