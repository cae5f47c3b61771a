"""Fidelity and diversity of a generated set, as pure functions of feature vectors.

KID: unbiased squared maximum mean discrepancy with the cubic polynomial kernel (Binkowski
et al. 2018), by torch-fidelity. Frechet distance (Heusel et al. 2017). Precision and recall
(Kynkaanniemi et al. 2019), by torch-fidelity; density and coverage (Naeem et al. 2020);
Vendi score (Friedman and Dieng 2023).

On a few dozen images the Frechet distance measures their number more than their look
(two samples of one distribution score in the hundreds); KID is unbiased and the default.
Each figure stands beside its floor: the same figure between two disjoint random parts of
the photographs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric
from torch_fidelity.metric_kid import kernel_poly, mmd2
from torch_fidelity.metric_prc import (
    KEY_METRIC_PRECISION,
    KEY_METRIC_RECALL,
    prc_features_to_metric,
)

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import derive_seed, numpy_generator

LARGEST_SUBSET = 1000
"""Default subsets stop growing here: the subset size of the published KID."""

_LARGEST_TABLE = 8000
_PRECISION_NEIGHBOURS = 3
_COVERAGE_NEIGHBOURS = 5


def default_subset_size(n_real: int, n_fake: int) -> int:
    """Half of the smaller set, at most `LARGEST_SUBSET`: a subset of everything has no spread."""
    return min(min(n_real, n_fake) // 2, LARGEST_SUBSET)


def kernel_distance(
    real: torch.Tensor, fake: torch.Tensor, *, subset_size: int, subsets: int = 100, seed: int = 0
) -> tuple[float, float]:
    """KID: mean and spread of the unbiased squared MMD over random subsets.

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
    """
    smallest = min(len(real), len(fake))
    if not 2 <= subset_size < smallest:
        raise InputError(
            f"KID needs a subset size from 2 to {smallest - 1} (one less than the smaller set), "
            f"not {subset_size}"
        )
    # The generator and the order of the draws are those of torch-fidelity, whose value this is. The
    # kernels are computed once: its subsets compute most of them many times.
    generator = np.random.RandomState(derive_seed(seed, "kid") % 2**32)
    kernels = _Kernels.between(real, fake)
    values = []
    for _ in range(subsets):
        rows = generator.choice(len(real), subset_size, replace=False)
        columns = generator.choice(len(fake), subset_size, replace=False)
        values.append(kernels.squared_mmd(rows, columns))
    return float(np.mean(values)), float(np.std(values))


def squared_mmd(first: torch.Tensor, second: torch.Tensor) -> float:
    """The unbiased squared MMD of two equally large sets, each taken as a whole."""
    everything = np.arange(len(first))
    return _Kernels.between(first, second).squared_mmd(everything, everything)


def kernel_distance_of_all(real: torch.Tensor, fake: torch.Tensor) -> tuple[float, float]:
    """The unbiased squared MMD between all reals and all fakes, and its standard error.

    For watching a generator: the reals stay the same, so the error is that of the fakes alone
    (jackknife: each fake left out once), and differences between two moments can be judged by it.
    Unlike `kernel_distance` the sets may differ in size and all images are used.

    Args:
        real: float N x D, N at least 2.
        fake: float M x D, M at least 3.

    Returns:
        Value (negative values happen, without bias) and standard error.

    Raises:
        InputError: too few images.
    """
    n, m = len(real), len(fake)
    if n < 2 or m < 3:
        raise InputError(f"KID needs two reals and three fakes at least, not {n} and {m}")
    one, two = (features.float().cpu().numpy() for features in (real, fake))
    within, other = (kernel_poly(x, x).astype(np.float64) for x in (one, two))
    across = kernel_poly(one, two).astype(np.float64)
    rows = other.sum(axis=0) - np.diagonal(other)
    first = (within.sum() - np.trace(within)) / (n * (n - 1))
    value = first + rows.sum() / (m * (m - 1)) - 2 * across.mean()
    columns = across.sum(axis=0)
    without = (rows.sum() - 2 * rows) / ((m - 1) * (m - 2)) - 2 * (columns.sum() - columns) / (
        n * (m - 1)
    )
    error = np.sqrt((m - 1) / m * ((without - without.mean()) ** 2).sum())
    return float(value), float(error)


def kernel_floor(
    real: torch.Tensor, *, part: int, repeats: int, seed: int = 0
) -> tuple[float, float]:
    """`floor_of` for the squared MMD, with the kernels computed once.

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
    values = [kernels.squared_mmd(a.numpy(), b.numpy()) for a, b in parts]
    return float(np.mean(values)), float(np.std(values))


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


def _centred_factor(features: torch.Tensor) -> torch.Tensor:
    """A factor F with F^T F = covariance, with at most D rows."""
    centred: torch.Tensor = (features - features.mean(dim=0)) / (len(features) - 1) ** 0.5
    if len(centred) <= centred.shape[1]:
        return centred
    covariance = centred.T @ centred
    lower, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        upper: torch.Tensor = lower.T
        return upper
    # A feature that never varies makes the covariance singular.
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    scaled: torch.Tensor = eigenvalues.clamp_min(0).sqrt()[:, None] * vectors.T
    return scaled


def frechet_distance(real: torch.Tensor, fake: torch.Tensor) -> float:
    """Frechet distance between Gaussians fitted to two sets of features.

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))``. With S = F^T F the trace of the root is
    the sum of the singular values of ``F1 F2^T``: it holds also for singular covariances (fewer
    images than dimensions), where a root of the product of D x D matrices loses digits.

    Args:
        real: float N x D, N >= 2.
        fake: float M x D, M >= 2.

    Returns:
        The distance, >= 0 up to rounding.

    Raises:
        InputError: a set has fewer than two images.
    """
    if min(len(real), len(fake)) < 2:
        raise InputError("a Frechet distance needs at least two images in each set")
    first, second = real.double().cpu(), fake.double().cpu()
    difference = first.mean(dim=0) - second.mean(dim=0)
    one, two = _centred_factor(first), _centred_factor(second)
    product = one @ two.T if len(one) <= len(two) else two @ one.T
    root = torch.linalg.eigvalsh(product @ product.T).clamp_min(0).sqrt().sum()
    return float(difference @ difference + (one**2).sum() + (two**2).sum() - 2 * root)


def precision_recall_density_coverage(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float]:
    """How many fakes look real, and how much of the reals they cover.

    Args:
        real: float N x D, N > 5.
        fake: float M x D, M > 5.

    Returns:
        ``precision`` and ``recall`` (3 neighbours, in [0, 1]), ``density`` (>= 0, 1 expected) and
        ``coverage`` (5 neighbours, in [0, 1]).

    Raises:
        InputError: a set has too few images for the neighbourhoods.
    """
    if min(len(real), len(fake)) <= _COVERAGE_NEIGHBOURS:
        raise InputError(
            f"precision, recall, density and coverage need more than {_COVERAGE_NEIGHBOURS} images "
            f"in each set, not {len(real)} and {len(fake)}"
        )
    # torch-fidelity's convention: the generated set comes first.
    prc = prc_features_to_metric(
        fake.float(), real.float(), prc_neighborhood=_PRECISION_NEIGHBOURS, verbose=False
    )
    radius = torch.cdist(real, real).kthvalue(_COVERAGE_NEIGHBOURS + 1, dim=1).values
    distances = torch.cdist(real, fake)
    inside = distances < radius[:, None]
    return {
        "precision": float(prc[KEY_METRIC_PRECISION]),
        "recall": float(prc[KEY_METRIC_RECALL]),
        "density": float(inside.sum() / (_COVERAGE_NEIGHBOURS * len(fake))),
        "coverage": float(inside.any(dim=1).float().mean()),
    }


def vendi_score(features: torch.Tensor) -> float:
    """Effective number of different images: exp of the entropy of the cosine kernel's spectrum.

    Args:
        features: float N x D.

    Returns:
        From 1 (all alike) to N (all orthogonal).
    """
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    # The spectrum of the N x N kernel equals that of the smaller Gram matrix.
    gram = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    eigenvalues = torch.linalg.eigvalsh(gram / len(unit)).clamp_min(0)
    return float(torch.exp(torch.special.entr(eigenvalues).sum()))


def inception_score(class_scores: torch.Tensor, *, splits: int) -> float:
    """The Inception score (Salimans et al. 2016), by torch-fidelity.

    Args:
        class_scores: float N x C, unbounded scores of C classes.
        splits: parts whose scores are averaged, at most N.

    Returns:
        From 1 (every image is taken for the same classes) to C.
    """
    result = isc_features_to_metric(class_scores, splits=splits, shuffle=False)
    return float(result[KEY_METRIC_ISC_MEAN])


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
) -> tuple[float, float]:
    """Real against real: what a perfect generator would score at this number of images.

    Args:
        metric: the figure between two sets.
        real: N x D features (or N values) of the photographs.
        part: images in each of the two disjoint parts, at most N // 2.
        repeats: number of random divisions.
        seed: of the divisions.

    Returns:
        Mean and standard deviation over the divisions.
    """
    values = [metric(real[a], real[b]) for a, b in random_parts(len(real), part, repeats, seed)]
    return float(np.mean(values)), float(np.std(values))
