"""Copying: are generated images nearer to training photographs than new photographs are?

It starts from distances to the nearest training photograph, of generated images on one side
and of held-out photographs on the other: what a set of new photographs does by chance is the
standard. Papers: the C_T test (Meehan et al. 2020, arXiv 2004.05675), authenticity (Alaa et
al. 2022, arXiv 2102.08921). Distance alone is no proof of privacy (arXiv 2505.01524).
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hzsynth.statistics.orders import near_probabilities, quantile_rank

Floats = NDArray[np.float64]

_FAKES_A_CELL, _HELD_OUT_A_CELL = 20, 4


@dataclass(frozen=True)
class Nearness:
    """How near generated images are to training photographs, against held-out photographs.

    Attributes:
        quantile: of the held-out distances that the threshold stands for.
        thresholds: class -> distance below which an image of it counts as near.
        near: generated images below the threshold.
        count: generated images.
        share: near / count; about `quantile` is expected of new photographs.
        p_near: exact probability that exchangeable images give as many near ones or more.
        c_t: the cell-weighted z score of generated against held-out distances (see `c_t`): below -3
            the generated images are nearer to the training photographs than new ones are.
        z_c_t: the same scaled to the spread that chance gives it; equal to it in one cell.
        p_c_t: one-sided, of being nearer.
        cells: how many cells were compared.
        noticeable: smallest share that would be significant at this number of photographs.
        authentic: share of generated images that are farther from their nearest training
            photograph than that is from its own nearest other one.
    """

    quantile: float
    thresholds: dict[int, float]
    near: int
    count: int
    share: float
    p_near: float
    c_t: float
    z_c_t: float
    p_c_t: float
    cells: int
    noticeable: float
    authentic: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def nearness(
    fake: Floats,
    held_out: Floats,
    train: Floats,
    nearest: NDArray[np.int64],
    quantile: float,
    level: float = 0.01,
    *,
    fake_cells: NDArray[np.int64] | None = None,
    held_out_cells: NDArray[np.int64] | None = None,
    classes: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> Nearness:
    """Compares distances to the nearest training photograph, within each class.

    Args:
        fake: M distances of the generated images.
        held_out: K distances of held-out photographs, at least 2.
        train: N distances of each training photograph to the nearest other one.
        nearest: M indices of the training photographs that are nearest to the generated images.
        quantile: of the held-out distances, in (0, 1).
        level: of the test, for what would be noticed.
        fake_cells: M cells of the generated images; by default one cell holds all.
        held_out_cells: K cells of the held-out photographs.
        classes: M and K numbers; each of the first is among the second. By default all are of one class.

    Returns:
        The comparison.
    """
    fake_classes, held_out_classes = classes or (
        np.zeros_like(x, np.int64) for x in (fake, held_out)
    )
    thresholds, strata, near = {}, [], 0
    for number in np.unique(fake_classes).tolist():
        own, others = fake[fake_classes == number], held_out[held_out_classes == number]
        # The r-th smallest held-out distance: r - 1 held-out photographs are nearer.
        rank = quantile_rank(quantile, len(others))
        thresholds[number] = float(np.sort(others)[rank - 1])
        near += int((own < thresholds[number]).sum())
        strata.append((len(own), rank, len(others)))
    if len(strata) > 1:
        # The classes are the cells: regions within them would hold too few held-out photographs.
        fake_cells, held_out_cells = fake_classes, held_out_classes
    chances = near_probabilities(tuple(strata))
    enough = np.flatnonzero(chances < level)
    found = c_t(fake, held_out, fake_cells, held_out_cells)
    return Nearness(
        quantile=quantile,
        thresholds=thresholds,
        near=near,
        count=len(fake),
        share=near / len(fake),
        p_near=float(chances[near]),
        c_t=found.value,
        z_c_t=found.z,
        p_c_t=float(stats.norm.cdf(found.z)),
        cells=found.cells,
        noticeable=float(enough[0] / len(fake)) if len(enough) else float("inf"),
        authentic=float((fake > train[nearest]).mean()),
    )


def mann_whitney(
    first: Floats,
    second: Floats,
    first_classes: NDArray[np.int64] | None = None,
    second_classes: NDArray[np.int64] | None = None,
) -> tuple[float, float]:
    """The z score of the Mann-Whitney U test with ties, and the one-sided p of first < second.

    Args:
        first: M figures.
        second: N figures.
        first_classes: M numbers; with them figures are compared within a class, and U and its variance are
            summed over the classes.
        second_classes: N numbers.
    """
    if first_classes is None or second_classes is None:
        found = [_rank_sum(first, second)]
    else:
        found = [
            _rank_sum(first[first_classes == number], second[second_classes == number])
            for number in np.intersect1d(first_classes, second_classes)
        ]
    above, variance = np.sum(found, axis=0)
    if variance <= 0:
        return 0.0, 1.0
    z = above / np.sqrt(variance)
    return float(z), float(stats.norm.cdf(z))


def _rank_sum(first: Floats, second: Floats) -> tuple[float, float]:
    """How far U is above what is expected, and its variance."""
    m, n = len(first), len(second)
    ranks = stats.rankdata(np.concatenate([first, second]))
    u = ranks[:m].sum() - m * (m + 1) / 2
    _, ties = np.unique(ranks, return_counts=True)
    total = m + n
    tied = float((ties**3 - ties).sum()) / (total * (total - 1))
    return float(u - m * n / 2), m * n / 12 * (total + 1 - tied)


@dataclass(frozen=True)
class CellWeighted:
    """C_T over the cells of a space.

    Attributes:
        value: C_T as published.
        z: C_T over its standard deviation under chance, sqrt(sum of squared weights).
        cells: how many cells were compared.
    """

    value: float
    z: float
    cells: int


def c_t(
    fake: Floats,
    held_out: Floats,
    fake_cells: NDArray[np.int64] | None = None,
    held_out_cells: NDArray[np.int64] | None = None,
) -> CellWeighted:
    """The C_T of Meehan, Chaudhuri and Dasgupta (2020): rank tests cell by cell, weighted.

        C_T = sum over cells of P(cell) Z_U(cell) / sum over cells of P(cell)

    with P the share of held-out photographs in a cell and Z_U the z score of the Mann-Whitney test
    there. As published, cells with less than a fixed share of the generated images (here 20 of
    them, or 1 in 10 where there are fewer than 200) are left out. A global test mixes regions in which
    photographs lie densely with regions in which they do not.

    Args:
        fake: M distances of the generated images to the nearest training photograph.
        held_out: K distances of the held-out photographs.
        fake_cells: M numbers of cells; None: all in one.
        held_out_cells: K numbers of cells.

    Returns:
        C_T; 0 where no cell can be compared.

    Example:
        >>> import numpy as np
        >>> near, far = np.arange(10.0), np.arange(10.0) + 100
        >>> round(c_t(near, far).value, 2) == round(mann_whitney(near, far)[0], 2)
        True
    """
    if fake_cells is None or held_out_cells is None:
        z = mann_whitney(fake, held_out)[0]
        return CellWeighted(z, z, 1)
    fewest = min(_FAKES_A_CELL, len(fake) / 10)
    weights, scores = [], []
    for cell in np.unique(held_out_cells):
        own, others = fake[fake_cells == cell], held_out[held_out_cells == cell]
        if len(own) >= fewest and len(others) >= _HELD_OUT_A_CELL:
            weights.append(len(others))
            scores.append(mann_whitney(own, others)[0])
    if not weights:
        return CellWeighted(0.0, 0.0, 0)
    shares = np.array(weights) / sum(weights)
    value = float(shares @ np.array(scores))
    return CellWeighted(value, value / float(np.sqrt((shares**2).sum())), len(weights))
