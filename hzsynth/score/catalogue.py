"""The metrics by name: a new one is a file in `score/metrics` and its name in `MetricName`.

What a user may ask for, what ``--help`` lists and what a configuration accepts is this list; each
metric's file holds its formula, its needs, its figure beside real-vs-real and its meaning in words.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from hzsynth.score.metric import Metric

MetricName = Literal[
    "kid",
    "frechet",
    "fid",
    "frechet-infinity",
    "fid-infinity",
    "prdc",
    "vendi",
    "inception-score",
    "tone",
    "palate",
    "memorisation",
]

METRICS: tuple[MetricName, ...] = get_args(MetricName)
"""Every metric, in the order in which a report gives them."""


def load_metric(name: MetricName) -> "Metric":
    """The metric of a name; its file, which costs torch, is imported only now.

    Args:
        name: one of `METRICS`; its file has the same name, with underscores.

    Returns:
        The metric.
    """
    module = import_module(f"hzsynth.score.metrics.{name.replace('-', '_')}")
    metric: Metric = module.METRIC
    return metric
