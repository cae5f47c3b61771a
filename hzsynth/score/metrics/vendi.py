"""The Vendi score: as how many entirely different images a set counts.

    exp(-sum_i l_i log l_i)

of the eigenvalues l of K / N, with K the cosine similarities of all pairs (Friedman and Dieng
2023, arXiv:2210.02410, order 1). It looks at one set only and grows with the number of images, so both
sides are measured at the same number.
"""

import torch

from hzsynth.score.metric import Compared, Conditions, Metric
from hzsynth.score.one_set import figure_of_one_set
from hzsynth.score.results import Score


def vendi_score(features: torch.Tensor) -> float:
    """Effective number of different images: exp of the entropy of the cosine kernel's spectrum.

    Args:
        features: float N x D.

    Returns:
        From 1 (all alike) to N (all orthogonal).

    Examples:
        >>> import torch
        >>> round(vendi_score(torch.eye(4)), 6), round(vendi_score(torch.ones(4, 4)), 6)
        (4.0, 1.0)
    """
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    # The spectrum of the N x N kernel equals that of the smaller Gram matrix.
    gram = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    eigenvalues = torch.linalg.eigvalsh(gram / len(unit)).clamp_min(0)
    return float(torch.exp(torch.special.entr(eigenvalues).sum()))


class Vendi(Metric):
    """The Vendi score of as many generated images as photographs."""

    name = "vendi"

    def figures(self, sets: Compared, conditions: Conditions) -> tuple[Score]:
        """One figure (see `Metric`)."""
        return (
            figure_of_one_set(
                f"vendi-{conditions.extractor}",
                vendi_score,
                sets,
                "features",
                conditions,
                note=lambda value: (
                    f"The set counts as {value:.1f} entirely different images, measured on "
                    f"{min(conditions.n_real, conditions.n_fake)}; blurred or wrong images may be "
                    "varied, too"
                ),
            ),
        )


METRIC = Vendi()
