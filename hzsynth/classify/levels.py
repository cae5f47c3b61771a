"""The recommended levels for a zoster classifier, and whether a result reaches them."""

from collections.abc import Mapping
from dataclasses import dataclass

RECOMMENDED: Mapping[str, float] = {
    "macro_f1": 0.85,
    "macro_recall": 0.85,
    "macro_precision": 0.85,
    "auroc": 0.90,
    "f1_target": 0.85,
    "accuracy_target": 0.90,
    "kappa": 0.80,
}
"""Lowest value of each metric that passes."""


@dataclass(frozen=True)
class LevelRow:
    """One metric against its level.

    Attributes:
        metric: its name.
        level: the lowest value that passes.
        value: what was reached.
        low: lower end of its interval.
        passes: ``passes``, ``falls short``, or ``passes, not proven`` when the interval reaches
            below the level.
    """

    metric: str
    level: float
    value: float
    low: float
    passes: str


def against_levels(values: Mapping[str, tuple[float, float]]) -> tuple[LevelRow, ...]:
    """Compares results with the recommended levels.

    Args:
        values: metric -> value and lower end of its interval.

    Returns:
        One row a level.
    """
    rows = []
    for metric, level in RECOMMENDED.items():
        value, low = values[metric]
        verdict = "passes" if value >= level else "falls short"
        if value >= level > low:
            verdict = "passes, not proven"
        rows.append(LevelRow(metric, level, value, low, verdict))
    return tuple(rows)
