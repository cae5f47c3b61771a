"""Which photographs a generated set is compared with: held-out ones, unless there are none."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.data.independence import independent_units
from hzsynth.score.config import PartName
from hzsynth.score.metric import Compared, Described

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sides:
    """The rows of the photographs on each side, bool N.

    Attributes:
        name: of the part that is compared with.
        reference: photographs that the figures are against.
        members: photographs that the generator learned from.
        held_out: photographs that it did not see.
        remarks: what to know about the choice.
    """

    name: str
    reference: Mask
    members: Mask
    held_out: Mask
    remarks: tuple[str, ...] = ()

    def part(self, rows: torch.Tensor) -> "Sides":
        """The same of some rows."""
        chosen = rows.numpy()
        return Sides(self.name, self.reference[chosen], self.members[chosen], self.held_out[chosen])

    def compared(self, real: Described, fake: Described) -> Compared:
        """The sets that a metric looks at.

        Args:
            real: all photographs, N.
            fake: the generated images.
        """

        def side(mask: Mask) -> Described | None:
            return real.part(torch.from_numpy(np.flatnonzero(mask))) if mask.any() else None

        reference = real.part(torch.from_numpy(np.flatnonzero(self.reference)))
        apart = not (self.reference & self.members).any()
        return Compared(
            real=reference,
            fake=fake,
            training=side(self.members) if apart else None,
            members=side(self.members),
            held_out=side(self.held_out),
            units=independent_units(reference.images),
        )


def choose_sides(real: ImageSet, part: PartName) -> Sides:
    """Chooses the photographs to compare with.

    Args:
        real: photographs; without any split all count as learned from.
        part: the part that is asked for.

    Returns:
        The sides. Where no photograph is held out, all are compared with, and a remark says so.

    Raises:
        InputError: the part that was asked for by name is empty.
    """
    splits = np.array([record.split for record in real])
    held_out = np.isin(splits, ("val", "test"))
    members = splits == "train" if (splits != "").any() else np.ones(len(real), dtype=bool)
    if part == "held-out" and not held_out.any():
        remark = (
            "no photograph of `real` is held out: the figures are against photographs that the "
            "generator may have learned from, so that a copier looks perfect"
        )
        return Sides("all", np.ones(len(real), dtype=bool), members, held_out, (remark,))
    reference = {
        "held-out": held_out,
        "all": np.ones(len(real), dtype=bool),
        "train": members,
    }.get(part, splits == part)
    if not reference.any():
        there = ", ".join(sorted(set(splits.tolist()) - {""})) or "no split"
        raise InputError(f"`split` {part} is empty in `real`, which has {there}")
    return Sides(part, reference, members, held_out)
