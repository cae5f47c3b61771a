"""Figures about one set alone, such as its variety: measured at equal numbers on both sides."""

from collections.abc import Callable

import torch

from hzsynth.core.seeding import numpy_generator
from hzsynth.data.independence import one_of_each
from hzsynth.score.floors import Asked, Beside, Floor, mean_and_spread, random_parts, relabelled
from hzsynth.score.metric import Compared, Conditions, Need, NotIdentifiableError
from hzsynth.score.results import Score

_LARGEST_TESTED = 150


def figure_of_one_set(
    metric: str,
    formula: Callable[[torch.Tensor], float],
    sets: Compared,
    need: Need,
    conditions: Conditions,
    *,
    note: Callable[[float], str],
    beside_conditions: bool = False,
) -> Score:
    """The figure of as many generated images as photographs, beside that of the photographs.

    Args:
        metric: name of the figure.
        formula: the figure of N x D values.
        sets: photographs and generated images.
        need: which values.
        conditions: shared by all figures.
        note: what a value says.
        beside_conditions: whether the figure means nothing without its conditions beside it.

    Returns:
        The mean over random parts of the smaller set's size.

    Raises:
        NotIdentifiableError: a set has fewer than two images.
    """
    real, fake = sets.values(need)
    part = min(len(real), len(fake))
    draws = conditions.draws
    if part < 2:
        raise NotIdentifiableError(
            f"it needs two images in each set, not {len(real)} and {len(fake)}"
        )

    def repeated(values: torch.Tensor) -> Floor:
        chosen = random_parts(len(values), part, draws.floor_repeats, draws.seed)
        return mean_and_spread([formula(values[rows]) for rows, _ in chosen])

    value, spread = repeated(fake)
    training = None
    if sets.training is not None and len(sets.training.images) >= part:
        training = repeated(sets.training.measured[need])[0], part
    p, tested = _chance(formula, sets, need, conditions)
    return conditions.score(
        metric,
        value,
        "higher",
        Beside(value, repeated(real), part, p, tested),
        training=training,
        spread=spread,
        subset_size=part,
        subsets=draws.floor_repeats,
        note=note(value),
        about="one set",
        beside_conditions=beside_conditions,
    )


def _chance(
    formula: Callable[[torch.Tensor], float], sets: Compared, need: Need, conditions: Conditions
) -> tuple[float | None, int]:
    """The chance of being so much less varied than as many photographs, one a patient."""
    real, fake = sets.values(need)
    draws = conditions.draws
    rng = numpy_generator(draws.seed, "one-set")
    tested = one_of_each(sets.units, draws.seed, "tested")
    count = min(len(tested), len(fake), _LARGEST_TESTED)
    photographs = torch.from_numpy(rng.permutation(tested)[:count])
    generated = torch.from_numpy(len(real) + rng.permutation(len(fake))[:count])
    pooled = torch.cat([real, fake])
    found = relabelled(
        lambda first, second: {"more": formula(pooled[second]) - formula(pooled[first])},
        photographs,
        generated,
        Asked(("more",), "higher", 2),
        relabellings=draws.relabellings,
        rng=rng,
    )
    return found.get("more"), count
