"""The Frechet distance between Gaussians fitted to two sets of features.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))

of means m and covariances S (Heusel et al. 2017, arXiv:1706.08500). It equals torch-fidelity's value,
and the closed form where covariances are singular (fewer images than dimensions), where a root of the
product of D x D matrices loses digits. On Inception features it is FID and called so; on
others it carries their name. On a few dozen images it measures their number more than their look
(two samples of one distribution score in the hundreds): KID is unbiased.
"""

from typing import ClassVar

import torch

from hzsynth.core.seeding import numpy_generator
from hzsynth.score.catalogue import MetricName
from hzsynth.score.floors import Asked, Formula
from hzsynth.score.metric import PUBLISHED, Compared, Conditions, Metric, NotIdentifiableError
from hzsynth.score.results import Score


def frechet_distance(real: torch.Tensor, fake: torch.Tensor) -> float:
    """The distance between two sets.

    With S = F^T F the trace of the root is the sum of the singular values of ``F1 F2^T``.

    Args:
        real: float N x D, N >= 2.
        fake: float M x D, M >= 2.

    Returns:
        The distance, >= 0 up to rounding.

    Raises:
        NotIdentifiableError: a set has fewer than two images.

    Examples:
        >>> import torch
        >>> line = torch.tensor([[-1.0], [0.0], [1.0]])  # mean 0, variance 1
        >>> round(frechet_distance(line, 2 * line + 3), 6)  # 3^2 + 1 + 4 - 2 * 2
        10.0
    """
    if min(len(real), len(fake)) < 2:
        raise NotIdentifiableError("a Frechet distance needs at least two images in each set")
    first, second = real.double().cpu(), fake.double().cpu()
    difference = first.mean(dim=0) - second.mean(dim=0)
    one, two = _centred_factor(first), _centred_factor(second)
    product = one @ two.T if len(one) <= len(two) else two @ one.T
    root = torch.linalg.eigvalsh(product @ product.T).clamp_min(0).sqrt().sum()
    return float(difference @ difference + (one**2).sum() + (two**2).sum() - 2 * root)


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


def _prepared(pooled: torch.Tensor) -> Formula:
    features = pooled.double().cpu()
    return lambda real, fake: {"frechet": frechet_distance(features[real], features[fake])}


class Frechet(Metric):
    """FID on the published features, else a Frechet distance under its features' name."""

    name: ClassVar[MetricName] = "frechet"

    def figures(self, sets: Compared, conditions: Conditions) -> tuple[Score]:
        """One figure (see `Metric`)."""
        n, dim = min(conditions.n_real, conditions.n_fake), conditions.dim
        few = f"With {n} images in {dim} dimensions it measures their number more than their look. "
        falls = "It falls as images are added: compare it only at equal numbers"
        published = conditions.extractor == PUBLISHED
        generated, training = sets.fake.measured["features"], sets.training_values("features")
        learned = None
        if training is not None and len(training) >= 2:
            # It falls with the number of images: as many as photographs are compared with.
            rng = numpy_generator(conditions.draws.seed, "frechet-training")
            rows = rng.permutation(len(training))[: conditions.n_real]
            learned = frechet_distance(training[torch.from_numpy(rows)], generated), len(rows)
        beside = conditions.beside(_prepared, sets, "features", Asked(("frechet",), "lower", 2))
        return (
            conditions.score(
                "fid" if published else f"frechet-{conditions.extractor}",
                frechet_distance(*sets.values("features")),
                "lower",
                beside["frechet"],
                training=learned,
                note=(few if n < 2 * dim else "") + falls,
                beside_conditions=True,
            ),
        )


METRIC = Frechet()
