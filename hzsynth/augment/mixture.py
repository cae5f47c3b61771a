"""The plan of a ratio: how many real and synthetic images make a training class, and how often each is seen.

Ratio R is synthetic images per real image of the target class. Of n real training images of the
class, multiplier x n views are made: the n reals, R n synthetic images, the rest further views of
both in that proportion, each varied anew. So R = 0 is pure augmentation, R = multiplier - 1 shows
every image once, and the number of views is the same in every arm.
"""

from dataclasses import dataclass
from typing import get_args

from hzsynth.augment.config import Arm
from hzsynth.core.errors import InputError

ARMS: tuple[Arm, ...] = get_args(Arm)


@dataclass(frozen=True)
class ClassPlan:
    """How one class of the training set is made up.

    Attributes:
        real: photographs, each once.
        synthetic: generated images, each once.
        augmented_real: further, varied views of photographs.
        augmented_synthetic: further, varied views of generated images.
    """

    real: int
    synthetic: int = 0
    augmented_real: int = 0
    augmented_synthetic: int = 0

    @property
    def total(self) -> int:
        """All views of the class."""
        return self.real + self.synthetic + self.augmented_real + self.augmented_synthetic


def plan_target(count: int, ratio: float, multiplier: int, arm: Arm = "mixture") -> ClassPlan:
    """Plans the target class.

    Args:
        count: real training images of the class, n.
        ratio: synthetic images per real one, R; used by ``mixture`` only.
        multiplier: the class is filled to multiplier x n views.
        arm: ``mixture``; or a control: ``real`` (n photographs, each seen once) or
            ``synthetic-only`` (no photographs).

    Returns:
        The plan. Every arm but ``real`` has multiplier x n views.

    Raises:
        InputError: there are no real images, or the ratio does not fit the multiplier.
    """
    if count < 1:
        raise InputError("the target class has no real training images")
    if multiplier < 1:
        raise InputError(f"`multiplier` is at least 1, not {multiplier}")
    total = multiplier * count
    if arm == "real":
        return ClassPlan(real=count)
    if arm == "synthetic-only":
        return ClassPlan(real=0, synthetic=total)
    if not 0 <= ratio <= multiplier - 1:
        raise InputError(
            f"`ratio` is between 0 and multiplier - 1 = {multiplier - 1} synthetic images per real "
            f"one, not {ratio:g}"
        )
    return _filled(count, ratio, total)


def _filled(count: int, ratio: float, total: int) -> ClassPlan:
    """The photographs, `ratio` synthetic images each, and further views of both in proportion."""
    synthetic = round(ratio * count)
    rest = total - count - synthetic
    augmented_real = round(rest * count / (count + synthetic))
    return ClassPlan(
        real=count,
        synthetic=synthetic,
        augmented_real=augmented_real,
        augmented_synthetic=rest - augmented_real,
    )


def plan_other(count: int, size: int, ratio: float = 0.0) -> ClassPlan:
    """Plans another class: its photographs, filled up to `size` views.

    Args:
        count: real training images of the class.
        size: the class is filled up to it; what is there is never cut.
        ratio: synthetic images per real one. With the target class's ratio both have the same
            share of synthetic images, so that being synthetic does not predict the class.

    Returns:
        The plan; empty where there are no photographs.
    """
    if not count:
        return ClassPlan(real=0)
    return _filled(count, ratio, max(size, count + round(ratio * count)))
