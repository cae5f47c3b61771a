"""What is found when copies of training photographs are looked for, in figures and in words."""

from dataclasses import asdict, dataclass
from typing import Any

FALSE_ALARMS = 0.05
"""The chance that a report calls a perfect generator worse in any of its figures."""
QUANTILE = 0.05
"""The share of held-out photographs that lie nearer to a training photograph than `Memorisation` allows."""


@dataclass(frozen=True)
class NearestPair:
    """A generated image and the training photograph nearest to it.

    Attributes:
        fake: index in the generated set.
        train: index in the training set.
        distance: Euclidean distance of their features.
    """

    fake: int
    train: int
    distance: float


@dataclass(frozen=True)
class Memorisation:
    """The figure with its conditions.

    Attributes:
        share: share of the fakes that are nearer to a training photograph than `threshold`.
        p: the exact chance of as many near ones without copying; None without held-out photographs.
        noticeable: the smallest share that would be noticed at these numbers; above 1: none would.
        threshold: the 5 % quantile of the reference distances.
        rank: which of them it is, from the smallest and from 1.
        reference: ``held-out`` photographs, or ``training`` (each to the others) without any.
        n_fake: generated images.
        n_train: training photographs.
        n_reference: photographs behind the threshold.
        extractor: the feature space.
        closest: the closest pairs, nearest first, for a contact sheet.
    """

    share: float
    threshold: float
    rank: int
    reference: str
    n_fake: int
    n_train: int
    n_reference: int
    extractor: str
    closest: tuple[NearestPair, ...]
    p: float | None = None
    noticeable: float = 0.0
    p_adjusted: float | None = None

    @property
    def expected(self) -> float:
        """The mean share without copying, in a random order of generated images and references."""
        return self.rank / (self.n_reference + 1)

    @property
    def beyond_chance(self) -> bool | None:
        """Whether more images are near than chance explains; None without held-out photographs."""
        p = self.p if self.p_adjusted is None else self.p_adjusted
        return None if p is None else p <= FALSE_ALARMS

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    def sentence(self) -> str:
        """What the figure says at this number of images."""
        verdict = self._verdict()
        but = "any" if self.rank == 1 else f"all but {self.rank - 1}"
        few = (
            f". The threshold rests on one or two of only {self.n_reference} photographs"
            if self.n_reference < 2 / QUANTILE
            else ""
        )
        stand_in = (
            ". No photograph was held out, so the training photographs stand in for them"
            if self.reference == "training"
            else ""
        )
        return (
            f"{self.share:.0%} of {self.n_fake} generated images lie nearer to a training photograph "
            f"than {but} of the {self.n_reference} {self.reference} photographs do "
            f"(about {self.expected:.0%} is expected without copying): {verdict}{few}{stand_in}. It is no proof "
            "of privacy."
        )

    def _verdict(self) -> str:
        if self.p is None:
            return (
                "look at the closest pairs"
                if self.share > 2 * self.expected
                else "no sign of copying"
            )
        if self.beyond_chance:
            # Blurred images lie near to all photographs: a few references do not tell them from copies.
            return (
                "the generator mostly copies its training photographs"
                if self.share > 0.5 and self.n_reference >= 2 / QUANTILE
                else "more than chance explains: look at the closest pairs"
            ) + f" (p = {self.p:.1g})"
        reach = (
            f"it would have been noticed from {self.noticeable:.0%} on"
            if self.noticeable <= 1
            else "too few to notice even a set of copies"
        )
        return f"no sign of copying ({reach})"
