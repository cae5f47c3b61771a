"""Divides both sets by a column, so that each class (or source, or tone) has its own figures."""

from collections.abc import Sequence

import numpy as np
import torch

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.data.skin_tone import TONE_BINS, UNCLEAR, tone_bin

TONE = "tone"
EMPTY = "(empty)"
_COLUMNS = ("label", "split", "source", "origin", "group", "licence")


def group_values(images: ImageSet, by: str, angles: torch.Tensor | None) -> list[str]:
    """The value by which each image is grouped.

    Args:
        images: the set.
        by: ``tone``, a column of the table, or a further column.
        angles: the typology angle of each image, for ``tone``.

    Returns:
        One value an image; `EMPTY` where the table has none.
    """
    if by == TONE:
        assert angles is not None
        return [tone_bin(float(angle)) for angle in angles]
    if by in _COLUMNS:
        return [str(getattr(record, by)) or EMPTY for record in images]
    return [record.extra.get(by, "") or EMPTY for record in images]


def check_column(by: str, *sets: ImageSet) -> None:
    """Refuses a column that is in neither set.

    Raises:
        InputError: there is no such column.
    """
    further = sorted({key for images in sets for record in images for key in record.extra})
    allowed = (TONE, *_COLUMNS, *further)
    if by not in allowed:
        raise InputError(f"`by` is one of {', '.join(allowed)}, not '{by}'")


def rows_by_value(
    by: str, real: Sequence[str], fake: Sequence[str]
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The rows of each value in both sets, values in order (tones from dark to light)."""
    values = set(real) | set(fake)
    order = (
        [tone for tone in (*TONE_BINS, UNCLEAR) if tone in values] if by == TONE else sorted(values)
    )
    return {value: (_rows(real, value), _rows(fake, value)) for value in order}


def _rows(values: Sequence[str], value: str) -> torch.Tensor:
    return torch.from_numpy(np.flatnonzero(np.asarray(values, dtype=object) == value))
