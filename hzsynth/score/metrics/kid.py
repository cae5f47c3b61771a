"""KID: the kernel distance between two sets of features, unbiased at any number of images.

With the cubic kernel ``k(x, y) = (x . y / D + 1)^3`` and m images of each set,

    MMD^2 = sum_{i != j} [k(x_i, x_j) + k(y_i, y_j)] / (m (m - 1)) - 2 sum_{i, j} k(x_i, y_j) / m^2

KID is its mean over random subsets (Bińkowski et al. 2018, arXiv:1801.01401). The draws, the kernel
and the sums are those of torch-fidelity, whose value it equals; the kernels are computed once,
where torch-fidelity computes most of them many times. On other features than Inception's it is named
after them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch_fidelity.metric_kid import kernel_poly, mmd2

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import derive_seed
from hzsynth.score.floors import Asked, Floor, Formula, mean_and_spread, random_parts
from hzsynth.score.metric import Compared, Conditions, Draws, Metric, NotIdentifiableError
from hzsynth.score.results import Score

LARGEST_SUBSET = 1000
"""Default subsets stop growing here: the subset size of the published KID."""

_LARGEST_TABLE = 8000
_FEWEST = 4


def default_subset_size(n_real: int, n_fake: int) -> int:
    """Half of the smaller set, at most `LARGEST_SUBSET`: a subset of everything has no spread."""
    return min(min(n_real, n_fake) // 2, LARGEST_SUBSET)


def kid(
    real: torch.Tensor, fake: torch.Tensor, *, subset_size: int, subsets: int = 100, seed: int = 0
) -> tuple[float, float]:
    """Mean and spread of the unbiased squared MMD over random subsets.

    Args:
        real: float N x D.
        fake: float M x D.
        subset_size: images drawn from each set, in [2, min(N, M)).
        subsets: number of draws.
        seed: of the draws.

    Returns:
        Mean and standard deviation over the draws; the mean may be slightly negative.

    Raises:
        InputError: the subset is not smaller than both sets.

    Examples:
        >>> import torch
        >>> alike, other = torch.zeros(8, 2), torch.ones(8, 2)
        >>> kid(alike, alike, subset_size=4)
        (0.0, 0.0)
        >>> kid(alike, other, subset_size=4)  # (1 + 1)^3 + 1 - 2
        (7.0, 0.0)
    """
    smallest = min(len(real), len(fake))
    if not 2 <= subset_size < smallest:
        raise InputError(
            f"KID needs a `subset_size` from 2 to {smallest - 1} (one less than the smaller set), "
            f"not {subset_size}"
        )
    # The generator and the order of the draws are those of torch-fidelity, whose value this is.
    generator = np.random.RandomState(derive_seed(seed, "kid") % 2**32)
    kernels = _Kernels.between(real, fake)
    values = []
    for _ in range(subsets):
        rows = generator.choice(len(real), subset_size, replace=False)
        columns = generator.choice(len(fake), subset_size, replace=False)
        values.append(kernels.squared_mmd(rows, columns))
    return mean_and_spread(values)


def squared_mmd(first: torch.Tensor, second: torch.Tensor) -> float:
    """The unbiased squared MMD of two equally large sets, each taken as a whole."""
    everything = np.arange(len(first))
    return _Kernels.between(first, second).squared_mmd(everything, everything)


@dataclass(frozen=True)
class KidOfAll:
    """The squared MMD of two whole sets, with its standard errors.

    Attributes:
        value: unbiased; negative values happen.
        error: for other reals and other fakes; with two reals, which say nothing of their spread, that
            of the fakes alone.
        error_of_fakes: for other fakes beside the same reals: two moments of a generator that are compared
            with the same photographs are judged by it.
    """

    value: float
    error: float
    error_of_fakes: float


def kid_of_all(real: torch.Tensor, fake: torch.Tensor) -> KidOfAll:
    """The unbiased squared MMD between all reals and all fakes, and its standard errors.

    The errors are jackknife ones: each image is left out once, which takes images as independent
    (several of one patient make the true error larger). Unlike in `kid` the sets may differ in size and all images are
    used.

    Args:
        real: float N x D, N at least 2.
        fake: float M x D, M at least 3.

    Returns:
        The value and its errors.

    Raises:
        InputError: too few images.
    """
    n, m = len(real), len(fake)
    if n < 2 or m < 3:
        raise InputError(f"KID needs two reals and three fakes at least, not {n} and {m}")
    one, two = (features.float().cpu().numpy() for features in (real, fake))
    within, other = (kernel_poly(x, x).astype(np.float64) for x in (one, two))
    across = kernel_poly(one, two).astype(np.float64)
    value = _mean_of_pairs(within) + _mean_of_pairs(other) - 2 * across.mean()
    of_fakes = _jackknife_variance(other, across.mean(axis=0))
    of_reals = _jackknife_variance(within, across.mean(axis=1)) if n > 2 else 0.0
    return KidOfAll(float(value), float(np.sqrt(of_fakes + of_reals)), float(np.sqrt(of_fakes)))


def _mean_of_pairs(kernel: NDArray[np.float64]) -> float:
    """Mean of a kernel over all pairs of different images."""
    count = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (count * (count - 1)))


def _jackknife_variance(within: NDArray[np.float64], across: NDArray[np.float64]) -> float:
    """Variance of the squared MMD for other images in place of one set's.

    Args:
        within: kernel between the set's images, N x N.
        across: mean kernel of each with the other set, N.
    """
    count = len(within)
    rows = within.sum(axis=0) - np.diagonal(within)
    pairs = (rows.sum() - 2 * rows) / ((count - 1) * (count - 2))
    without = pairs - 2 * (across.sum() - across) / (count - 1)
    return float((count - 1) / count * ((without - without.mean()) ** 2).sum())


def kid_floor(real: torch.Tensor, *, part: int, repeats: int, seed: int = 0) -> Floor:
    """The squared MMD between two disjoint random parts of some photographs.

    Args:
        real: float N x D.
        part: images in each of the two disjoint parts, at most N // 2.
        repeats: number of random divisions.
        seed: of the divisions.

    Returns:
        Mean and standard deviation over the divisions.
    """
    kernels = _Kernels.between(real, real)
    parts = random_parts(len(real), part, repeats, seed)
    return mean_and_spread([kernels.squared_mmd(a.numpy(), b.numpy()) for a, b in parts])


def prepared_kid(pooled: torch.Tensor) -> Formula:
    """The unbiased squared MMD between rows of pooled features, with the kernels computed once.

    Args:
        pooled: float P x D.

    Returns:
        From N and M rows, at least two each, the figure ``kid``.
    """
    features = pooled.float().cpu().numpy()
    table = kernel_poly(features, features).astype(np.float64)

    def formula(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float]:
        first, second = real.numpy(), fake.numpy()
        within, other = table[np.ix_(first, first)], table[np.ix_(second, second)]
        n, m = len(first), len(second)
        value = (
            (within.sum() - np.trace(within)) / (n * (n - 1))
            + (other.sum() - np.trace(other)) / (m * (m - 1))
            - 2 * table[np.ix_(first, second)].mean()
        )
        return {"kid": float(value)}

    return formula


@dataclass(frozen=True)
class _Kernels:
    """The cubic kernel within and between two sets.

    Sets too large for tables of all pairs are kept as features, and each subset's kernels are
    computed when it is asked for.
    """

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    tables: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]] | None

    @classmethod
    def between(cls, first: torch.Tensor, second: torch.Tensor) -> "_Kernels":
        one, two = (features.float().cpu().numpy() for features in (first, second))
        if max(len(one), len(two)) > _LARGEST_TABLE:
            return cls(one, two, None)
        within = kernel_poly(one, one)
        if first is second:
            return cls(one, two, (within, within, within))
        return cls(one, two, (within, kernel_poly(one, two), kernel_poly(two, two)))

    def squared_mmd(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> float:
        """Unbiased, between some rows of the first set and equally many of the second."""
        if self.tables is None:
            one, two = self.first[rows], self.second[columns]
            return float(mmd2(kernel_poly(one, one), kernel_poly(one, two), kernel_poly(two, two)))
        within, across, other = self.tables
        return float(
            mmd2(
                within[np.ix_(rows, rows)],
                across[np.ix_(rows, columns)],
                other[np.ix_(columns, columns)],
            )
        )


class Kid(Metric):
    """KID over random subsets."""

    name = "kid"

    def figures(self, sets: Compared, conditions: Conditions) -> tuple[Score]:
        """One figure (see `Metric`)."""
        photographs, generated = sets.values("features")
        draws = conditions.draws
        smallest = min(len(photographs), len(generated))
        if smallest < _FEWEST:
            raise NotIdentifiableError(f"it needs {_FEWEST} images in each set, not {smallest}")
        size = draws.subset_size or default_subset_size(len(photographs), len(generated))
        value, spread = kid(
            photographs, generated, subset_size=size, subsets=draws.subsets, seed=draws.seed
        )
        beside = conditions.beside(prepared_kid, sets, "features", Asked(("kid",), "lower", 2))
        n = min(conditions.n_real, conditions.n_fake)
        return (
            conditions.score(
                f"kid-{conditions.extractor}",
                value,
                "lower",
                beside["kid"],
                training=_of_training(sets, size, draws),
                spread=spread,
                subset_size=size,
                subsets=draws.subsets,
                note=f"It is unbiased: values about 0 mean no difference that {n} images can show",
            ),
        )


def _of_training(sets: Compared, size: int, draws: Draws) -> tuple[float, int] | None:
    """KID to the training photographs, at the same subset size where they are enough."""
    training, generated = sets.training_values("features"), sets.fake.measured["features"]
    if training is None or len(training) < _FEWEST:
        return None
    size = min(size, default_subset_size(len(training), len(generated)))
    return kid(training, generated, subset_size=size, subsets=draws.subsets, seed=draws.seed)[
        0
    ], len(training)


METRIC = Kid()
