"""What stands beside a figure: photographs against photographs, and chance.

Two questions need two numbers. What would photographs of other patients have scored? The floor: the
figure between two parts of the photographs that share no patient and no copy, beside the figure of one
such part and as many generated images. Could a perfect generator have scored this badly? Its images and
one photograph a patient are exchangeable, so that relabelling them at random gives the exact chance.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.seeding import numpy_generator
from hzsynth.data.independence import halves, one_of_each

Rows = torch.Tensor
"""Int64 row numbers of pooled values."""
Formula = Callable[[Rows, Rows], Mapping[str, float]]
"""Figures by name, from the rows of photographs and of generated images."""
Prepare = Callable[[torch.Tensor], Formula]
"""Makes a formula from pooled values, so that distances or kernels are computed once."""
Floor = tuple[float, float]
"""Mean and standard deviation."""

_LARGEST_PART = 500
_LARGEST_TESTED = 300


@dataclass(frozen=True)
class Asked:
    """Which figures a formula gives, and how they are read.

    Attributes:
        names: of the figures.
        better: ``lower`` or ``higher``.
        smallest: images that the formula needs on each side.
    """

    names: Sequence[str]
    better: str
    smallest: int


@dataclass(frozen=True)
class Beside:
    """What stands beside a figure.

    Attributes:
        at_floor: the figure of one part of the photographs and as many generated images.
        floor: of two such parts, disjoint by patient and copy, and its standard deviation.
        n_floor: images in each part.
        p: the chance that a perfect generator gets a figure this bad; None where too few.
        n_tested: independent photographs behind it.
    """

    at_floor: float | None = None
    floor: Floor | None = None
    n_floor: int = 0
    p: float | None = None
    n_tested: int = 0


def compare(
    prepare: Prepare,
    real: torch.Tensor,
    fake: torch.Tensor,
    units: NDArray[np.int64],
    asked: Asked,
    *,
    repeats: int,
    relabellings: int,
    seed: int,
) -> dict[str, Beside]:
    """Floors and chances of some figures.

    Args:
        prepare: makes the formula from pooled values.
        real: N x D values of photographs (or N); of more than 1,000 as many are drawn.
        fake: M x D of generated images; of more than 500 as many are drawn.
        units: N numbers: photographs of one patient, and copies, share one.
        asked: what the formula gives.
        repeats: random divisions for the floor.
        relabellings: for the chance.
        seed: of all draws.

    Returns:
        What stands beside each figure.
    """
    rng = numpy_generator(seed, "beside")
    photographs = rng.permutation(len(real))[: 2 * _LARGEST_PART]
    generated = rng.permutation(len(fake))[:_LARGEST_PART]
    real, fake, units = real[photographs], fake[generated], units[photographs]
    formula = prepare(torch.cat([real, fake]))
    fakes = torch.arange(len(real), len(real) + len(fake))
    divided, size = _divided(formula, units, fakes, asked, repeats, seed)
    tested = torch.from_numpy(one_of_each(units, seed, "tested"))[:_LARGEST_TESTED]
    p_values = relabelled(
        formula, tested, fakes[:_LARGEST_TESTED], asked, relabellings=relabellings, rng=rng
    )
    return {
        name: Beside(
            at_floor=float(np.mean([at[name] for _, at in divided])) if divided else None,
            floor=mean_and_spread([floor[name] for floor, _ in divided]) if divided else None,
            n_floor=size if divided else 0,
            p=p_values.get(name),
            n_tested=len(tested),
        )
        for name in asked.names
    }


def _divided(
    formula: Formula,
    units: NDArray[np.int64],
    fakes: Rows,
    asked: Asked,
    repeats: int,
    seed: int,
) -> tuple[list[tuple[Mapping[str, float], Mapping[str, float]]], int]:
    """The figures of two parts, and of one part and as many generated images, at each division.

    Returns:
        The pairs of figures, none where a part would be too small; and the size of a part.
    """
    rng = numpy_generator(seed, "parts")
    parts = [_two_parts(units, seed, number, rng) for number in range(repeats)]
    size = min(_LARGEST_PART, len(fakes), *(len(part) for pair in parts for part in pair))
    if size < asked.smallest:
        return [], size
    found = []
    for first, second in parts:
        made = fakes[torch.from_numpy(rng.permutation(len(fakes))[:size])]
        found.append((formula(first[:size], second[:size]), formula(first[:size], made)))
    return found, size


def relabelled(
    formula: Formula,
    real: Rows,
    fake: Rows,
    asked: Asked,
    *,
    relabellings: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """The chance of figures as bad as these where the labels mean nothing: a permutation test.

    Args:
        formula: gives the figures.
        real: rows of independent photographs.
        fake: rows of generated images.
        asked: what the formula gives.
        relabellings: random ones; the smallest chance is one over one more.
        rng: of the relabellings.

    Returns:
        One-sided p-values, exact for exchangeable images; empty where there are too few.
    """
    if min(len(real), len(fake)) < max(asked.smallest, 4):
        return {}
    pooled = torch.cat([real, fake])
    observed = formula(real, fake)
    sign = 1.0 if asked.better == "lower" else -1.0
    worse = dict.fromkeys(asked.names, 1)
    for _ in range(relabellings):
        order = pooled[torch.from_numpy(rng.permutation(len(pooled)))]
        drawn = formula(order[: len(real)], order[len(real) :])
        for name in asked.names:
            worse[name] += sign * drawn[name] >= sign * observed[name] - 1e-12
    return {name: count / (relabellings + 1) for name, count in worse.items()}


def random_parts(
    count: int, part: int, repeats: int, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Draws two disjoint random parts of `part` indices below `count`, `repeats` times."""
    generator = numpy_generator(seed, "floor")
    for _ in range(repeats):
        order = torch.from_numpy(generator.permutation(count))
        yield order[:part], order[part : 2 * part]


def _two_parts(
    units: NDArray[np.int64], seed: int, number: int, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Two parts of the rows that share no unit, each in random order."""
    first = halves(units, seed, "floor", str(number))
    one, two = (rng.permutation(np.flatnonzero(side)) for side in (first, ~first))
    return torch.from_numpy(one), torch.from_numpy(two)


def mean_and_spread(values: list[float]) -> Floor:
    """Mean and standard deviation."""
    return float(np.mean(values)), float(np.std(values))
