"""Which photographs a generator learns from, and which of them only watch it."""

from dataclasses import dataclass

import torch

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.seeding import torch_generator
from hzsynth.data.loading import load_pixels
from hzsynth.data.splits import inseparable_units
from hzsynth.gan.config import GanConfig

ENOUGH_TO_HOLD_OUT = 100
"""From this number of photographs on, a part is held out without being asked for."""

DEFAULT_HELD_OUT = 0.2


FEW = 10
"""Under this number a generator does hardly more than repeat its photographs."""


@dataclass(frozen=True)
class Photographs:
    """The reals of a run.

    Attributes:
        train: the images that are learned from.
        held_out: the images that only watch, possibly none.
        labels: class names, sorted.
    """

    train: ImageSet
    held_out: ImageSet
    labels: tuple[str, ...]

    def classes(self, part: ImageSet) -> torch.Tensor:
        """Place of every image's class among `labels`, int64 N."""
        return torch.tensor([self.labels.index(r.label) for r in part], dtype=torch.int64)

    def pixels(self, part: ImageSet, resolution: int) -> torch.Tensor:
        """The images of a part, uint8 N x 3 x resolution x resolution."""
        if not len(part):
            return torch.empty(0, 3, resolution, resolution, dtype=torch.uint8)
        return load_pixels(part, resolution)


def photograph_alarms(pixels: torch.Tensor) -> tuple[str, ...]:
    """What a user should know about the photographs before they are learned from, a sentence each.

    Args:
        pixels: uint8 N x 3 x H x W.
    """
    count = len(pixels)
    if count > 1 and bool((pixels == pixels[:1]).all()):
        return (f"sameness: all {count} photographs are one and the same picture",)
    if count < FEW:
        shown = "1 photograph" if count == 1 else f"{count} photographs"
        return (
            f"few: a generator of {shown} can only repeat what they show; treat all its images as "
            "copies of them",
        )
    return ()


def training_photographs(images: ImageSet, label: str) -> ImageSet:
    """What a generator learns from: real images of the train split (or of a set without splits).

    Args:
        images: the set.
        label: a class name, or ``all``.

    Returns:
        The chosen part of the set.

    Raises:
        InputError: there is no such class, or no real training image in it.
    """
    part = images.training_part()
    if label != "all":
        if label not in images.labels:
            raise InputError(
                f"`label` is all or one of {', '.join(images.labels)} in '{images.root}', "
                f"not '{label}'"
            )
        part = part.select(label=label)
    real = [record for record in part if record.is_real]
    if not real:
        raise InputError(
            f"'{images.root}' has no real training image of label '{label}' "
            "(a generator learns from photographs of the train split only)"
        )
    return part.replace_records(real)


def choose_photographs(images: ImageSet, config: GanConfig) -> Photographs:
    """Divides the training photographs into those that are learned from and those that watch.

    Photographs of one patient stay together. Nothing is held out of less than
    `ENOUGH_TO_HOLD_OUT` photographs unless the configuration names a share.

    Args:
        images: the set.
        config: names the label and the share.

    Returns:
        Both parts.

    Raises:
        InputError: no training image, or a share that leaves nothing to learn from.
    """
    everything = training_photographs(images, config.label)
    share = config.held_out_share
    if share is None:
        share = DEFAULT_HELD_OUT if len(everything) >= ENOUGH_TO_HOLD_OUT else 0.0
    records = list(everything)
    wanted = share * len(records)
    units = inseparable_units(records)
    count = int(units.max()) + 1
    order = torch.randperm(count, generator=torch_generator(config.seed, "gan-held-out"))
    held: set[int] = set()
    taken = 0
    for unit in order.tolist():
        size = int((units == unit).sum())
        if taken + size <= wanted:
            held.add(unit)
            taken += size
    chosen = [unit in held for unit in units.tolist()]
    if wanted >= 1 and not taken:
        raise InputError(
            f"no patient of '{images.root}' is small enough to hold out {share:.0%} of the "
            f"{len(records)} photographs: choose another held_out_share"
        )

    def part(of_held_out: bool) -> ImageSet:
        kept = [r for r, out in zip(records, chosen, strict=True) if out == of_held_out]
        return everything.replace_records(kept)

    return Photographs(part(False), part(True), everything.labels)
