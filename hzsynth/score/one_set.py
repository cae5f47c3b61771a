"""Figures about one set alone, such as its variety: measured at equal numbers on both sides."""

from collections.abc import Callable

import torch

from hzsynth.score.floors import Floor, mean_and_spread, random_parts
from hzsynth.score.metric import Conditions
from hzsynth.score.results import Score


def figure_of_one_set(
    metric: str,
    formula: Callable[[torch.Tensor], float],
    real: torch.Tensor,
    fake: torch.Tensor,
    conditions: Conditions,
    *,
    note: Callable[[float], str],
    beside_conditions: bool = False,
) -> Score:
    """The figure of as many generated images as photographs, beside that of the photographs.

    Args:
        metric: name of the figure.
        formula: the figure of N x D values.
        real: N x D values of the photographs.
        fake: M x D values of the generated images.
        conditions: shared by all figures.
        note: what a value says.
        beside_conditions: whether the figure means nothing without its conditions beside it.

    Returns:
        The mean over random parts of the smaller set's size.
    """
    part = min(len(real), len(fake))
    draws = conditions.draws

    def repeated(values: torch.Tensor) -> Floor:
        chosen = random_parts(len(values), part, draws.floor_repeats, draws.seed)
        return mean_and_spread([formula(values[rows]) for rows, _ in chosen])

    value, spread = repeated(fake)
    return conditions.score(
        metric,
        value,
        "higher",
        spread=spread,
        floor=repeated(real),
        n_floor=part,
        subset_size=part,
        subsets=draws.floor_repeats,
        note=note(value),
        about_one_set=True,
        beside_conditions=beside_conditions,
    )
