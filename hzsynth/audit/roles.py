"""Whose photographs count as one, and which are asked about: photographs of one patient are no two witnesses."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.data.independence import halves, independent_units, one_of_each

_FEWEST_PATIENTS, _FEWEST_A_HALF = 2, 4


@dataclass(frozen=True)
class Roles:
    """Patients of an audit; a photograph of which nobody knows whose it is counts as a patient's.

    Copies of one photograph count as one patient's.

    Attributes:
        train: int64 N, the patient of each training photograph.
        held_out: int64 K, of each held-out photograph; nobody is on both sides.
        classes: int64 U, the class of each patient: roles are exchanged within a class.
        asked: bool U, patients of the generated classes: only they are compared.
        attacked: bool N, training photographs whose membership is asked for: one a patient who is asked.
        independent: bool K, held-out photographs that are tested: one a patient.
        control: bool K, held-out photographs that stand for members in the control.
        labels: names of the classes.
    """

    train: torch.Tensor
    held_out: torch.Tensor
    classes: torch.Tensor
    asked: torch.Tensor
    attacked: torch.Tensor
    independent: torch.Tensor
    control: torch.Tensor
    labels: tuple[str, ...] = ()

    @property
    def train_classes(self) -> torch.Tensor:
        """Int64 N, the class of each training photograph."""
        return self.classes[self.train]

    @property
    def held_out_classes(self) -> torch.Tensor:
        """Int64 K, the class of each held-out photograph."""
        return self.classes[self.held_out]

    @property
    def trained(self) -> torch.Tensor:
        """Bool U, who was in training."""
        return torch.zeros_like(self.asked).index_fill(0, self.train, True)


def each_its_own(train: int, held_out: int) -> Roles:
    """Roles where every photograph is of another patient, and all are of one class.

    Args:
        train: number of training photographs.
        held_out: of held-out photographs.
    """
    number = train + held_out
    return Roles(
        train=torch.arange(train),
        held_out=torch.arange(train, number),
        classes=torch.zeros(number, dtype=torch.int64),
        asked=_all(number),
        attacked=_all(train),
        independent=_all(held_out),
        control=torch.arange(held_out) < held_out // 2,
    )


def find_roles(fake: ImageSet, train: ImageSet, held_out: ImageSet, seed: int) -> Roles:
    """Who is who among the photographs of an audit.

    Args:
        fake: the generated images.
        train: the photographs that the generator learned from.
        held_out: photographs of the generated classes that it did not see.
        seed: which photograph stands for a patient.

    Returns:
        The roles.

    Raises:
        InputError: a side shows fewer than two patients of the generated classes, or no held-out one of
            a generated class.
    """
    labels = sorted({record.label for record in (*train, *held_out)})
    known, unseen = independent_units(train), independent_units(held_out)
    own = np.array([record.label in fake.labels for record in train])
    number = int(known.max()) + 1
    classes = np.empty(number + int(unseen.max()) + 1, dtype=np.int64)
    for units, images in ((known, train), (unseen + number, held_out)):
        classes[units] = [labels.index(record.label) for record in images]
    asked = np.isin(classes, [labels.index(label) for label in fake.labels if label in labels])
    rows = np.flatnonzero(own & asked[known])
    attacked = np.zeros(len(train), dtype=bool)
    attacked[rows[one_of_each(known[rows], seed, "members")]] = True
    independent = np.zeros(len(held_out), dtype=bool)
    independent[one_of_each(unseen, seed, "held-out")] = True
    for name, chosen in (("train", attacked), ("held_out", independent)):
        if chosen.sum() < _FEWEST_PATIENTS:
            raise InputError(
                f"`{name}` shows {chosen.sum()} patients of {', '.join(fake.labels)} (copies of one "
                f"photograph count once); an audit needs {_FEWEST_PATIENTS} or more"
            )
    missing = [x for x in fake.labels if x not in held_out.labels]
    if missing:
        raise InputError(f"`held_out` shows nobody of {', '.join(missing)}")
    return Roles(
        train=torch.from_numpy(known),
        held_out=torch.from_numpy(unseen + number),
        classes=torch.from_numpy(classes),
        asked=torch.from_numpy(asked),
        attacked=torch.from_numpy(attacked),
        independent=torch.from_numpy(independent),
        control=torch.from_numpy(_control(held_out, unseen, seed)),
        labels=tuple(labels),
    )


def _control(held_out: ImageSet, units: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Who stands for members in the control: val where there is val and test, else a random half."""
    val = np.array([record.split == "val" for record in held_out])
    if min(len(set(units[val])), len(set(units[~val]))) >= _FEWEST_A_HALF:
        return val
    return halves(units, seed, "audit", "control")


def _all(count: int) -> torch.Tensor:
    return torch.ones(count, dtype=torch.bool)
