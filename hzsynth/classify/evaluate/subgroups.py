"""The target class's metrics in parts of the test photographs: by skin tone, source or a column.

A classifier may be good on average and poor on a tone that it has hardly seen. A part
with few photographs of either kind says next to nothing: it is listed with its counts and the
reason, without figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from hzsynth.core.errors import InputError
from hzsynth.core.image_record import COLUMNS
from hzsynth.core.image_set import ImageSet
from hzsynth.data.skin_tone import TONE_BINS, UNCLEAR, skin_angle, tone_bin
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.metric_intervals import Metric, metrics_with_intervals

FEWEST = 5
"""Photographs of the target class, and of others, below which a part gets no figures."""

IN_A_PART = (
    "recall_target",
    "specificity_target",
    "precision_target",
    "npv_target",
    "f1_target",
    "auroc_target",
)
_TONE = "tone"
_UNKNOWN = "(not known)"


@dataclass(frozen=True)
class Subgroup:
    """One part of the test photographs.

    Attributes:
        by: ``tone`` or the column.
        name: the bin or value.
        positives: photographs of the target class.
        others: all other photographs.
        patients: groups; a photograph without a group counts as its own.
        metrics: names in `IN_A_PART` -> figure with its interval; empty when the part is too small.
        reason: why there are no figures, or empty.
    """

    by: str
    name: str
    positives: int
    others: int
    patients: int
    metrics: Mapping[str, Metric]
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def values_of(images: ImageSet, by: str) -> list[str]:
    """The part that every photograph belongs to.

    Args:
        images: N photographs.
        by: ``tone`` for the bin of the skin tone outside the lesion (unclear where it cannot be told), or a
            column of the set.

    Returns:
        N names.

    Raises:
        InputError: there is no such column, or a photograph cannot be read.
    """
    if by == _TONE:
        return [
            tone_bin(
                skin_angle(
                    images.read_pixels(record),
                    images.read_mask(record),
                )
            )
            for record in images
        ]
    extra = {column for record in images for column in record.extra}
    if by in COLUMNS:
        return [str(getattr(record, by)) or _UNKNOWN for record in images]
    if by in extra:
        return [record.extra.get(by, "") or _UNKNOWN for record in images]
    allowed = ", ".join((_TONE, *COLUMNS, *sorted(extra)))
    raise InputError(f"`by` '{by}' is no column of '{images.root}': it has {allowed}")


def subgroups(
    answers: Answers, photographs: ImageSet, by: str, *, seed: int = 0, bootstrap: int = 1000
) -> tuple[Subgroup, ...]:
    """Judges a classifier in every part of the photographs.

    Args:
        answers: what the classifier said of N photographs.
        photographs: the same ones, in the same order.
        by: see `values_of`.
        seed: of the bootstrap.
        bootstrap: replicates.

    Returns:
        One entry a part: tones from dark to light, other values in alphabetical order.

    Raises:
        InputError: see `values_of`.
    """
    values = np.array(values_of(photographs, by), dtype=object)
    present = set(values.tolist())
    tones = [name for name in (*TONE_BINS, UNCLEAR) if name in present]
    names = tones if by == _TONE else sorted(present)
    return tuple(
        _judged(answers.select(np.flatnonzero(values == name)), by, name, seed, bootstrap)
        for name in names
    )


def _judged(answers: Answers, by: str, name: str, seed: int, bootstrap: int) -> Subgroup:
    positives = int(answers.is_target.sum())
    others = len(answers) - positives
    kinds = {f"of {answers.label}": positives, "of other classes": others}
    lacking = [f"{count} {kind}" for kind, count in kinds.items() if count < FEWEST]
    metrics: dict[str, Metric] = {}
    if not lacking:
        found = metrics_with_intervals(answers, seed=seed, bootstrap=bootstrap)
        metrics = {key: found[key] for key in IN_A_PART}
    reason = f"only {' and '.join(lacking)}, {FEWEST} are needed" if lacking else ""
    return Subgroup(by, name, positives, others, answers.count_patients(), metrics, reason)


def subgroup_table(parts: Sequence[Subgroup]) -> pd.DataFrame:
    """One row a part: counts, then each figure as ``value (low to high)``, then the reason."""
    rows = []
    for part in parts:
        row: dict[str, object] = {
            part.by: part.name,
            "target": part.positives,
            "others": part.others,
            "patients": part.patients,
        }
        for name in IN_A_PART:
            m = part.metrics.get(name)
            row[name.removesuffix("_target")] = (
                f"{m.value:.2f} ({m.low:.2f} to {m.high:.2f})" if m else "–"
            )
        rows.append({**row, "remark": part.reason})
    return pd.DataFrame(rows)
