"""Real against real: what a perfect generator would score at this number of images."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from hzsynth.core.seeding import numpy_generator

Floor = tuple[float, float]
"""Mean and standard deviation over random divisions of the photographs."""


def random_parts(
    count: int, part: int, repeats: int, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Draws two disjoint random parts of `part` indices below `count`, `repeats` times."""
    generator = numpy_generator(seed, "floor")
    for _ in range(repeats):
        order = torch.from_numpy(generator.permutation(count))
        yield order[:part], order[part : 2 * part]


def floor_of(
    metric: Callable[[torch.Tensor, torch.Tensor], float],
    real: torch.Tensor,
    *,
    part: int,
    repeats: int = 20,
    seed: int = 0,
) -> Floor:
    """The figure between two disjoint random parts of the photographs.

    Args:
        metric: the figure between two sets.
        real: N x D features (or N values) of the photographs.
        part: images in each of the two disjoint parts, at most N // 2.
        repeats: number of random divisions.
        seed: of the divisions.

    Returns:
        Mean and standard deviation over the divisions.
    """
    return mean_and_spread(
        [metric(real[a], real[b]) for a, b in random_parts(len(real), part, repeats, seed)]
    )


def mean_and_spread(values: list[float]) -> Floor:
    """Mean and standard deviation."""
    return float(np.mean(values)), float(np.std(values))
