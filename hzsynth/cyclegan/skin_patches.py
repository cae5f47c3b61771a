"""Patches of skin beside lesions, and what features say of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hzsynth.core.seeding import numpy_generator
from hzsynth.cyclegan.measures import grown
from hzsynth.cyclegan.target import Picture, Pixels
from hzsynth.data.skin import skin_mask

# Side as a share of the picture, most a picture, least skin.
_PATCH, _PATCHES, _PATCH_SKIN = 0.375, 3, 0.7


@dataclass(frozen=True)
class Described:
    """Patches in a feature space.

    Attributes:
        features: float N x D.
        patients: of each patch.
    """

    features: torch.Tensor
    patients: tuple[str, ...]

    def of(self, patients: set[str]) -> torch.Tensor:
        """The features of some patients' patches."""
        return self.features[[name in patients for name in self.patients]]


def describe(
    pictures: Sequence[Picture],
    patients: Sequence[str],
    describers: Sequence[Callable[[torch.Tensor], torch.Tensor]],
    seed: int,
) -> list[Described]:
    """What feature spaces say of the same patches.

    Args:
        pictures: with their lesions.
        patients: of each.
        describers: uint8 N x 3 x S x S -> float N x D each.
        seed: of the places.

    Returns:
        The patches, by describer.
    """
    patches: list[Pixels] = []
    owners: list[str] = []
    for number, (picture, patient) in enumerate(zip(pictures, patients, strict=True)):
        found = skin_patches(picture, numpy_generator(seed, "compare", "patches", number))
        patches += found
        owners += [patient] * len(found)
    if not patches:
        return [Described(torch.empty(0, 0), ()) for _ in describers]
    stacked = torch.from_numpy(np.stack(patches).transpose(0, 3, 1, 2).copy())
    return [Described(described(stacked), tuple(owners)) for described in describers]


def skin_patches(picture: Picture, rng: np.random.Generator) -> list[Pixels]:
    """Up to three patches of skin beside the lesion, a bit more than a third of the picture each.

    Args:
        picture: with its lesion.
        rng: draws the places; for pictures with equal masks and skin they are the same.

    Returns:
        Patches of one size; none where the lesion leaves no room.
    """
    height, width = picture.lesion.shape
    side = round(_PATCH * min(height, width))
    near = grown(picture.lesion, round(0.02 * max(height, width)))
    skin = skin_mask(picture.pixels)
    patches: list[Pixels] = []
    rows = rng.integers(0, height - side + 1, 60).tolist()
    columns = rng.integers(0, width - side + 1, 60).tolist()
    for row, column in zip(rows, columns, strict=True):
        box = np.s_[row : row + side, column : column + side]
        if near[box].mean() <= 0.01 and skin[box].mean() >= _PATCH_SKIN:
            patches.append(np.ascontiguousarray(picture.pixels[box]))
        if len(patches) == _PATCHES:
            break
    return patches
