"""Precision, recall, density and coverage: how real the fakes look, and what they cover.

With B_k(x) the ball about x that reaches to its k-th nearest neighbour in its own set,

    precision = share of fakes inside some B_3(real)    (Kynkäänniemi et al. 2019, arXiv:1904.06991)
    recall    = share of reals inside some B_3(fake)
    density   = sum over fakes of the number of B_5(real) that hold it / (5 M)
    coverage  = share of reals whose B_5 holds a fake      (Naeem et al. 2020, arXiv:2002.09797)

Precision and recall are torch-fidelity's; density and coverage follow the published convention
(strictly inside).
"""

import torch
from torch_fidelity.metric_prc import (
    KEY_METRIC_PRECISION,
    KEY_METRIC_RECALL,
    prc_features_to_metric,
)

from hzsynth.score.floors import Asked, Formula
from hzsynth.score.metric import Compared, Conditions, Metric, NotIdentifiableError
from hzsynth.score.results import Score

PRDC = ("precision", "recall", "density", "coverage")
_PRECISION_NEIGHBOURS = 3
_COVERAGE_NEIGHBOURS = 5


def precision_recall_density_coverage(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float]:
    """The four figures of two sets.

    Args:
        real: float N x D, N > 5.
        fake: float M x D, M > 5.

    Returns:
        ``precision`` and ``recall`` (3 neighbours, in [0, 1]), ``density`` (>= 0, 1 expected) and
        ``coverage`` (5 neighbours, in [0, 1]).

    Raises:
        NotIdentifiableError: a set has too few images for the neighbourhoods.

    Examples:
        >>> import torch
        >>> real = torch.arange(8.0)[:, None]
        >>> precision_recall_density_coverage(real, real + 100)
        {'precision': 0.0, 'recall': 0.0, 'density': 0.0, 'coverage': 0.0}
        >>> precision_recall_density_coverage(real, real)["coverage"]
        1.0
    """
    if min(len(real), len(fake)) <= _COVERAGE_NEIGHBOURS:
        raise NotIdentifiableError(
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


def prepared_prdc(pooled: torch.Tensor) -> Formula:
    """The four figures of rows of pooled features, with the distances computed once.

    Args:
        pooled: float P x D.

    Returns:
        From N and M rows, more than five each, the figures by name.
    """
    table = torch.cdist(pooled.float(), pooled.float())

    def formula(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float]:
        between, across = table[real][:, real], table[real][:, fake]
        precision = between.kthvalue(_PRECISION_NEIGHBOURS + 1, dim=1).values
        reach = table[fake][:, fake].kthvalue(_PRECISION_NEIGHBOURS + 1, dim=1).values
        inside = across < between.kthvalue(_COVERAGE_NEIGHBOURS + 1, dim=1).values[:, None]
        return {
            "precision": float((across <= precision[:, None]).any(dim=0).float().mean()),
            "recall": float((across <= reach).any(dim=1).float().mean()),
            "density": float(inside.sum() / (_COVERAGE_NEIGHBOURS * len(fake))),
            "coverage": float(inside.any(dim=1).float().mean()),
        }

    return formula


class PrecisionRecallDensityCoverage(Metric):
    """The four figures, each beside the same of two parts of the photographs."""

    name = "prdc"

    def figures(self, sets: Compared, conditions: Conditions) -> tuple[Score, ...]:
        """Four figures (see `Metric`)."""
        values = precision_recall_density_coverage(*sets.values("features"))
        training = sets.training_values("features")
        learned: dict[str, tuple[float, int]] = {}
        if training is not None and len(training) > _COVERAGE_NEIGHBOURS:
            found = precision_recall_density_coverage(training, sets.fake.measured["features"])
            learned = {name: (value, len(training)) for name, value in found.items()}
        asked = Asked(PRDC, "higher", _COVERAGE_NEIGHBOURS + 1)
        beside = conditions.beside(prepared_prdc, sets, "features", asked)
        n = min(conditions.n_real, conditions.n_fake)
        return tuple(
            conditions.score(
                f"{name}-{conditions.extractor}",
                values[name],
                "higher",
                beside[name],
                training=learned.get(name),
                note=_note(name, values[name], n),
            )
            for name in PRDC
        )


def _note(name: str, value: float, n: int) -> str:
    share = f"{value:.0%}"
    return {
        "precision": f"{share} of the generated images lie where photographs do",
        "recall": (
            f"{share} of the photographs lie where generated images do: the generator misses "
            f"the rest, or {n} images are too few to reach it"
        ),
        "density": (
            "1 is expected of a perfect generator; above 1 it crowds where photographs are dense"
        ),
        "coverage": f"{share} of the photographs have a generated image in their neighbourhood",
    }[name]


METRIC = PrecisionRecallDensityCoverage()
