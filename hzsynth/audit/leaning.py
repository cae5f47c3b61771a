"""Leaning: which patients' photographs does a generated image need to be explained?

An image is explained by one photograph (features) or by the best mixture of two (pixels). It leans on a
patient by the logarithm of how much poorer the explanation is without this patient's photographs.
A copy leans on one patient, a blend on two, a new image on nobody in particular. Training and held-out
photographs explain side by side, so that a class whose pictures are all alike, or a generator that
draws plain ones, shifts no balance; whether training patients are leaned on more is asked by exchanging the
patients' roles, a test whose size is exact whatever the images are (Fisher 1935; Phipson and Smyth 2010).
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.audit.roles import Roles

_EXPLAINED = 0.1
_LIKE_A_COPY = 1.0
_ALIKE = 0.98
_CANDIDATES, _PARTNERS = 64, 2000
_USUAL, _LEAST_LISTED = 0.975, 0.3
_EXCHANGES = 4999


@dataclass(frozen=True)
class Leanings:
    """How much generated images lean on patients.

    Attributes:
        on: float M x U, where training and held-out photographs explain.
        on_train: float M, the most that each leans on one patient where training photographs explain.
        usual: what training photographs lean on another patient: only 1 in 40 leans more; .3 or more.
    """

    on: torch.Tensor
    on_train: torch.Tensor
    usual: float

    @property
    def high(self) -> torch.Tensor:
        """Bool M, images that lean more than photographs do."""
        return self.on_train > self.usual

    def without(self, dropped: torch.Tensor) -> "Leanings":
        """The same without some generated images, bool M."""
        return replace(self, on=self.on[~dropped], on_train=self.on_train[~dropped])

    def with_copies(self, places: torch.Tensor, copied: torch.Tensor) -> "Leanings":
        """The same where copies of photographs of the patients `copied` stand in `places`."""
        on = self.on.clone()
        on[places] = 0
        on[places, copied] = _LIKE_A_COPY
        return replace(self, on=on)


def lean_on_one(distances: torch.Tensor, patients: torch.Tensor, count: int) -> torch.Tensor:
    """Leaning where the nearest photograph explains an image.

    Args:
        distances: float Q x N to the photographs.
        patients: int64 N.
        count: how many patients there are, U.

    Returns:
        float Q x U, 0 or more; of each image one patient at most is above 0.
    """
    leaning = torch.zeros(len(distances), count)
    nearest, place = distances.min(dim=1)
    own = patients[place]
    others = distances.masked_fill(patients[None] == own[:, None], float("inf"))
    others = others.min(dim=1).values
    known = torch.isfinite(others)
    found = torch.log(others.clamp(min=_EXPLAINED) / nearest.clamp(min=_EXPLAINED))
    leaning[torch.arange(len(own))[known], own[known]] = found[known].float()
    return leaning


def lean_on_two(
    images: torch.Tensor, seen: torch.Tensor, patients: torch.Tensor, count: int
) -> torch.Tensor:
    """Leaning where the best mixture of two photographs explains an image.

    Args:
        images: float Q x D, of unit length.
        seen: float V x N x D, the photographs in V views, of unit length.
        patients: int64 N.
        count: how many patients there are, U.

    Returns:
        float Q x U, 0 or more; of each image two patients at most are above 0.
    """
    leaning = torch.zeros(len(images), count)
    for row, image in enumerate(images):
        table, *places = _unexplained(image, seen)
        first, second = (patients[place] for place in places)
        best, place = table.min(), int(table.argmin())
        for patient in {int(first[place // len(second)]), int(second[place % len(second)])}:
            rest = table[first != patient][:, second != patient]
            if rest.numel():
                leaning[row, patient] = torch.log(rest.min() / best)
    return leaning


def _unexplained(
    image: torch.Tensor, seen: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What of an image the mixture of two photographs leaves: A x B, and which photographs these are.

    The rows are the photographs that are nearest to the image, each in its nearest view; the columns are
    the nearest views. Weights are positive: what is subtracted is no mixture.
    """
    with_each = seen @ image
    nearest, view = with_each.max(dim=0)
    rows = nearest.argsort(descending=True)[:_CANDIDATES]
    columns = with_each.flatten().argsort(descending=True)[:_PARTNERS]
    partners = seen.flatten(0, 1)[columns]
    first, second = nearest[rows][:, None], with_each.flatten()[columns][None]
    alike = seen[view[rows], rows] @ partners.T
    both = (first > alike * second) & (second > alike * first) & (alike < _ALIKE)
    mixed = (first**2 + second**2 - 2 * alike * first * second) / (1 - alike**2).clamp(min=1e-4)
    explained = torch.where(both, mixed, torch.maximum(first, second).clamp(min=0) ** 2)
    left = (1 - explained).clamp(min=_EXPLAINED**2).sqrt()
    return left, rows, columns % seen.shape[1]


def leanings_by_distance(
    to_train: torch.Tensor, to_held_out: torch.Tensor, other: torch.Tensor, roles: Roles
) -> Leanings:
    """Leanings where the nearest photograph explains.

    Args:
        to_train: float M x N, generated images to training photographs.
        to_held_out: float M x K, to held-out photographs.
        other: float N x N, between training photographs; infinite within a patient.
        roles: whose the photographs are.
    """
    count = len(roles.asked)
    both = torch.cat([to_train, to_held_out], dim=1)
    return Leanings(
        on=lean_on_one(both, torch.cat([roles.train, roles.held_out]), count),
        on_train=lean_on_one(to_train, roles.train, count).amax(dim=1),
        usual=_usual(lean_on_one(other, roles.train, count).amax(dim=1)),
    )


def leanings_in_mixtures(
    fakes: torch.Tensor, train: torch.Tensor, held_out: torch.Tensor, roles: Roles
) -> Leanings:
    """Leanings where mixtures of two photographs explain.

    Args:
        fakes: float M x D, of unit length.
        train: float V x N x D, training photographs in V views.
        held_out: float V x K x D, likewise.
        roles: whose the photographs are.
    """
    count = len(roles.asked)
    both = torch.cat([train, held_out], dim=1)
    usual = []
    for picture, patient in zip(train[0], roles.train, strict=True):
        others = roles.train != patient
        if others.any():
            usual.append(lean_on_two(picture[None], train[:, others], roles.train[others], count))
    return Leanings(
        on=lean_on_two(fakes, both, torch.cat([roles.train, roles.held_out]), count),
        on_train=lean_on_two(fakes, train, roles.train, count).amax(dim=1),
        usual=_usual(torch.cat(usual).amax(dim=1)),
    )


def _usual(leaning: torch.Tensor) -> float:
    return max(_LEAST_LISTED, float(np.quantile(leaning.numpy(), _USUAL, method="higher")))


@dataclass(frozen=True)
class LeaningTest:
    """Whether training patients are leaned on more than held-out ones.

    Attributes:
        share: of the leaning on an average training and an average held-out patient, what falls on the
            former; .5 is chance.
        p: one-sided, by exchanging roles.
        high: share of the images that lean on one training patient more than photographs lean on another.
        train: training patients.
        held_out: held-out patients.
    """

    share: float
    p: float
    high: float
    train: int
    held_out: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def leaning_test(
    leanings: Leanings, roles: Roles, exchanged: NDArray[np.bool_] | None = None
) -> LeaningTest:
    """Asks whether training patients are leaned on more than held-out ones.

    Args:
        leanings: of the generated images.
        roles: whose the photographs are.
        exchanged: of `exchange_roles`; by default drawn here.

    Returns:
        The comparison; a patient's leaning is that on an average photograph of hers.
    """
    photographs = torch.cat([roles.train, roles.held_out])
    sizes = torch.bincount(photographs, minlength=len(roles.asked)).clamp(min=1)
    each = (leanings.on.sum(dim=0) / sizes)[roles.asked].double().numpy()
    trained = roles.trained[roles.asked].numpy()
    if exchanged is None:
        exchanged = exchange_roles(roles)
    found = each[trained].sum()
    # Sums of the same figures in another order are equal but for rounding.
    as_much = int((exchanged @ each >= found - 1e-9 * max(1.0, found)).sum())
    mine, theirs = each[trained].mean(), each[~trained].mean()
    return LeaningTest(
        share=float(mine / (mine + theirs)) if mine + theirs > 0 else 0.5,
        p=(1 + as_much) / (1 + len(exchanged)),
        high=float(leanings.high.float().mean()),
        train=int(trained.sum()),
        held_out=int((~trained).sum()),
    )


def exchange_roles(roles: Roles, count: int = _EXCHANGES) -> NDArray[np.bool_]:
    """Who would be in training if that had been drawn anew, class by class.

    Args:
        roles: who was.
        count: how many draws; the same ones at each call.

    Returns:
        bool count x U of the patients who are asked.
    """
    asked = roles.asked
    classes, rng = roles.classes[asked].numpy(), np.random.default_rng(0)
    drawn = np.repeat(roles.trained[asked].numpy()[None], count, axis=0)
    for number in np.unique(classes):
        of_class = classes == number
        drawn[:, of_class] = rng.permuted(drawn[:, of_class], axis=1)
    return drawn
