"""A sheet that shows what every augmentation does to a user's own photographs."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.augment.config import Mix
from hzsynth.augment.mixing import mix_pair
from hzsynth.augment.strategies import STRATEGIES, Augmenter, check_names
from hzsynth.core.errors import InputError
from hzsynth.core.seeding import derive_seed, numpy_generator
from hzsynth.report.contact_sheet import comparison_rows

_DRAWS = 20
_MIXED: dict[Mix, str] = {
    "mixup": "mixup: blended with another photograph, which weighs up to a half",
    "cutmix": "cutmix: a rectangle of another photograph, up to half of the area",
}


def preview_sheet(
    pictures: Sequence[NDArray[np.uint8]],
    names: Sequence[str],
    strength: float = 1.0,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """Draws one row of each strategy, and one of all together as a training applies them.

    A strategy varies an image only with some probability; its own row shows draws in which it did.

    Args:
        pictures: one or more photographs, uint8 S x S x 3, all of one size: the columns.
        names: strategies to show (see `strategies.STRATEGY_NAMES`).
        strength: scales every augmentation, in (0, 2].
        seed: of the draws.

    Returns:
        The sheet, uint8 height x width x 3.

    Raises:
        InputError: no picture, an unknown strategy, or a strength out of range.
    """
    check_names(names)
    if not pictures:
        raise InputError("a preview needs one photograph at least")
    rows = {"photographs": list(pictures)}
    for strategy in STRATEGIES:
        if strategy.name not in names:
            continue
        title = f"{strategy.name}: {strategy.description}"
        if strategy.operators(1.0, 64):
            augmenter = Augmenter([strategy.name], strength)
            rows[title] = [
                _varied(augmenter, picture, derive_seed(seed, strategy.name, column))
                for column, picture in enumerate(pictures)
            ]
        else:
            rows |= {title: _mixed(pictures, kind, seed) for kind, title in _MIXED.items()}
    every = Augmenter([name for name in names if name != "mixing"], strength)
    if every.names:
        rows[f"all together, strength {strength:g}"] = [
            every(picture, derive_seed(seed, "all", column) % 2**32)[0]
            for column, picture in enumerate(pictures)
        ]
    tensors = {
        title: torch.from_numpy(np.stack(row)).permute(0, 3, 1, 2) for title, row in rows.items()
    }
    return comparison_rows(tensors, columns=len(pictures))


def _varied(augmenter: Augmenter, picture: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    for draw in range(_DRAWS):
        varied, applied = augmenter(picture, derive_seed(seed, draw) % 2**32)
        if applied != "[]":
            break
    return varied


def _mixed(pictures: Sequence[NDArray[np.uint8]], kind: Mix, seed: int) -> list[NDArray[np.uint8]]:
    """Every picture mixed with the next one."""
    return [
        mix_pair(
            picture,
            pictures[(column + 1) % len(pictures)],
            kind,
            numpy_generator(seed, kind, column),
        )[0]
        for column, picture in enumerate(pictures)
    ]
