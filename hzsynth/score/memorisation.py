"""Does the generator copy its training photographs? The nearest-neighbour figure.

A fake is called a likely copy when it lies nearer to a training photograph than all but
the nearest 5 % of held-out photographs do. A generator that learned the distribution has
a share of about 5 %, a copier close to 100 %. Distance alone is no proof of privacy
("DCR delusion", arXiv:2505.01524).
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from hzsynth.core.errors import InputError

QUANTILE = 0.05


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
        threshold: the 5 % quantile of the reference distances.
        reference: ``held-out`` photographs, or ``training`` (each to the others) without any.
        n_fake: generated images.
        n_train: training photographs.
        n_reference: photographs behind the threshold.
        extractor: the feature space.
        closest: the closest pairs, nearest first, for a contact sheet.
    """

    share: float
    threshold: float
    reference: str
    n_fake: int
    n_train: int
    n_reference: int
    extractor: str
    closest: tuple[NearestPair, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    def sentence(self) -> str:
        """What the figure says at this number of images."""
        verdict = (
            "no sign of copying" if self.share <= 2 * QUANTILE else "look at the closest pairs"
        )
        if self.share > 0.5:
            verdict = "the generator mostly copies its training photographs"
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
            f"than {QUANTILE:.0%} of the {self.n_reference} {self.reference} photographs do "
            f"(about {QUANTILE:.0%} is expected without copying): {verdict}{few}{stand_in}. It is no proof of privacy."
        )


def nearest_neighbour_memorisation(
    fake: torch.Tensor,
    train: torch.Tensor,
    held_out: torch.Tensor | None,
    *,
    extractor: str,
    pairs: int = 8,
) -> Memorisation:
    """Compares distances fake-to-train with distances held-out-to-train.

    Args:
        fake: float M x D features of the generated images.
        train: float N x D features of the photographs that the generator learned from.
        held_out: float K x D features of photographs that it did not see; None or empty to
            compare with each training photograph's distance to the others.
        extractor: name of the features.
        pairs: number of closest pairs to return.

    Returns:
        The figure with its conditions.

    Raises:
        InputError: there is nothing to compare.
    """
    if len(fake) == 0 or len(train) < 2:
        raise InputError("memorisation needs a generated image and at least two training images")
    if held_out is None or len(held_out) == 0:
        reference, between = "training", torch.cdist(train, train)
        between.fill_diagonal_(float("inf"))
    else:
        reference, between = "held-out", torch.cdist(held_out, train)
    threshold = float(between.min(dim=1).values.double().quantile(QUANTILE))
    distances, nearest = torch.cdist(fake, train).min(dim=1)
    order = torch.argsort(distances, stable=True)[:pairs].tolist()
    return Memorisation(
        share=float((distances < threshold).double().mean()),
        threshold=threshold,
        reference=reference,
        n_fake=len(fake),
        n_train=len(train),
        n_reference=len(between),
        extractor=extractor,
        closest=tuple(NearestPair(i, int(nearest[i]), float(distances[i])) for i in order),
    )
