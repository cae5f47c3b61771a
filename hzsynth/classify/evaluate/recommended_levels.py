"""The recommended levels for a zoster classifier on a phone, and whether a result reaches them."""

from collections.abc import Mapping
from dataclasses import dataclass

from hzsynth.statistics.metric_intervals import Metric


@dataclass(frozen=True)
class RecommendedLevel:
    """A recommended level.

    Attributes:
        metric: its name in an evaluation.
        bound: the level.
        at_least: whether the metric should be at least, or at most, the bound.
    """

    metric: str
    bound: float
    at_least: bool = True


RECOMMENDED_LEVELS = (
    RecommendedLevel("macro_f1", 0.85),
    RecommendedLevel("macro_recall", 0.85),
    RecommendedLevel("macro_precision", 0.85),
    RecommendedLevel("auroc", 0.90),
    RecommendedLevel("f1_target", 0.85),
    RecommendedLevel("accuracy_target", 0.90),
    RecommendedLevel("kappa", 0.80),
    RecommendedLevel("macs_millions", 2000, at_least=False),
    RecommendedLevel("latency_ms", 100, at_least=False),
    RecommendedLevel("parameters_millions", 10, at_least=False),
)


@dataclass(frozen=True)
class ReachedLevel:
    """One metric against its level.

    Attributes:
        metric: its name.
        level: the recommendation, such as ``>= 0.85``.
        value: what was reached.
        low: lower end of its interval; None for a figure without one.
        passes: ``passes``, ``falls short``, or ``passes, not proven`` when the interval reaches
            below the level.
    """

    metric: str
    level: str
    value: float
    low: float | None
    passes: str


def against_recommended_levels(
    metrics: Mapping[str, Metric], costs: Mapping[str, float]
) -> tuple[ReachedLevel, ...]:
    """Compares results with the recommended levels; the level itself counts as reached.

    Args:
        metrics: name -> figure with its interval.
        costs: figures without an interval (see `Efficiency.costs`).

    Returns:
        One row for each level whose metric is given.
    """
    rows = []
    for level in RECOMMENDED_LEVELS:
        name, bound = level.metric, level.bound
        if name in metrics:
            value, low = metrics[name].value, metrics[name].low
        elif name in costs:
            value, low = costs[name], None
        else:
            continue
        reached = value >= bound if level.at_least else value <= bound
        verdict = "passes" if reached else "falls short"
        if reached and low is not None and low < bound:
            verdict = "passes, not proven"
        sign = ">=" if level.at_least else "<="
        rows.append(ReachedLevel(name, f"{sign} {bound:,g}", value, low, verdict))
    return tuple(rows)
