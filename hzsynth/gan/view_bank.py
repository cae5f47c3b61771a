"""A bank of observed views of the reals, for a discriminator whose observation is costly.

Fakes are augmented anew in every step. A view that is shown again and again would tell the
discriminator its own augmentation, so that reals and fakes no longer looked augmented alike: every view
gives way to a new one after it was shown some times, however many views memory holds.
"""

from collections.abc import Callable

import torch

from hzsynth.core.progress import Progress
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import ObservedImages

BANK_PART = 32
"""Views observed at once; fixed, so that the bank does not depend on the machine."""

TIMES_SHOWN = 8
"""How often a view is shown, on average, before a new one takes its place."""

FEWEST_VIEWS = 512
"""Where memory holds fewer, the batches of neighbouring steps would share too many views: no bank."""

EXPECTED_IMAGES_PER_SECOND = 40.0
BANK_SHARE = 0.2

ObservePart = Callable[[int], ObservedImages]
"""Observes the `BANK_PART` views of a number; the same on every call."""


def bank_size(config: GanConfig, values_per_view: int) -> int:
    """How many views to keep: a fifth of what the run will ask for, within the memory's limit.

    Args:
        config: the run's settings.
        values_per_view: numbers in one view's observation, of two bytes each.

    Returns:
        A multiple of `BANK_PART`, which depends on the arguments alone, so that a resumed run has the same
        bank; 0 where memory holds too few.
    """
    fits = config.bank_megabytes * 2**20 // (2 * values_per_view)
    if fits < FEWEST_VIEWS:
        return 0
    images = config.kimg * 1000
    if config.minutes is not None:
        images = config.minutes * 60 * EXPECTED_IMAGES_PER_SECOND
    size = min(config.bank_views, int(images * BANK_SHARE), fits)
    return max(BANK_PART, size // BANK_PART * BANK_PART)


class ViewBank:
    """Observed views, of which some are replaced in every step.

    It has no state of its own: the views at a step follow from its number.

    Args:
        observe: makes parts.
        size: number of views, a multiple of `BANK_PART`.
        batch: views that a step asks for.
    """

    def __init__(self, observe: ObservePart, size: int, batch: int) -> None:
        self._observe, self._batch = observe, batch
        self._parts = size // BANK_PART
        self._maps: tuple[torch.Tensor, ...] = ()
        self._classes: torch.Tensor | None = None
        self._next = 0

    def __len__(self) -> int:
        return self._parts * BANK_PART

    def move_to(self, step: int, progress: Progress) -> None:
        """Holds the views of a step; later steps come after earlier ones.

        Args:
            step: its number.
            progress: shows the filling of a bank that is still empty.
        """
        first = step * self._batch // (TIMES_SHOWN * BANK_PART)
        numbers = range(max(first, self._next), first + self._parts)
        self._next = max(self._next, first + self._parts)
        if len(self._maps):
            for number in numbers:
                self._put(number)
            return
        with progress.task("observing the reals", total=len(self), unit="img") as task:
            for number in numbers:
                self._put(number)
                task.advance(BANK_PART)

    def _put(self, number: int) -> None:
        part = self._observe(number)
        if not self._maps:
            self._maps = tuple(
                torch.empty(
                    (len(self), *values.shape[1:]), dtype=torch.float16, device=values.device
                ).contiguous(memory_format=torch.channels_last)
                for values in part.observation
            )
            if part.classes is not None:
                self._classes = part.classes.new_empty(len(self))
        start = number % self._parts * BANK_PART
        for kept, values in zip(self._maps, part.observation, strict=True):
            kept[start : start + BANK_PART] = values
        if self._classes is not None and part.classes is not None:
            self._classes[start : start + BANK_PART] = part.classes

    def shown(self, rows: torch.Tensor) -> ObservedImages:
        """Some of the views, int64 N -> float32 maps of N."""
        rows = rows.to(self._maps[0].device)
        maps = tuple(
            part[rows].float().contiguous(memory_format=torch.channels_last) for part in self._maps
        )
        return ObservedImages(maps, None if self._classes is None else self._classes[rows])
