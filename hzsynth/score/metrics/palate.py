"""PALATE: is the generated set nearer to what was learned from than to what was held out?

    PALATE = D(held-out, fake) / (D(held-out, fake) + D(training, fake))

with D the squared maximum mean discrepancy under a Gaussian kernel ``exp(-|x - y|^2 / (2 s^2))``, the
biased one, which is never negative (Dziarmaga et al. 2025, arXiv:2503.18462). About .5 is right; towards 1
the set lies nearer to the training photographs: memorisation and fidelity in one figure. The paper has
DINOv2 features and thousands of images, a fixed s and sets of any size; here s is the median distance of
the photographs, and both sides have equally many of them, without which small sets are not at .5.
"""

import numpy as np
import torch

from hzsynth.core.seeding import numpy_generator
from hzsynth.data.independence import independent_units, one_of_each
from hzsynth.score.floors import Asked, Beside, relabelled
from hzsynth.score.metric import Compared, Conditions, Metric
from hzsynth.score.results import Score, Unavailable

_FEWEST = 8
_LARGEST = 1000


def palate(held_out: torch.Tensor, training: torch.Tensor, fake: torch.Tensor) -> float:
    """The share of the held-out photographs' distance in both.

    Args:
        held_out: float N x D, photographs that the generator did not see.
        training: float N x D, as many that it learned from.
        fake: float M x D.

    Returns:
        From 0 to 1; .5 where both are equally far.

    Example:
        >>> import torch
        >>> training, held_out = torch.arange(6.0)[:, None], torch.arange(6.0)[:, None] + 0.5
        >>> round(palate(held_out, training, training), 3)  # a copier
        1.0
        >>> round(palate(training, training, held_out), 3)
        0.5
    """
    kernels = _kernels(torch.cat([held_out, training, fake]), len(held_out) + len(training))
    n, k = len(held_out), len(held_out) + len(training)
    rows = torch.arange(len(kernels))
    return _share(kernels, rows[:n], rows[n:k], rows[k:])


def _kernels(pooled: torch.Tensor, photographs: int) -> torch.Tensor:
    distances = torch.cdist(pooled.double(), pooled.double())
    between = distances[:photographs, :photographs]
    scale = between[~torch.eye(photographs, dtype=torch.bool)].median().clamp_min(1e-12)
    return torch.exp(-(distances**2) / (2 * scale**2))


def _share(
    kernels: torch.Tensor, held_out: torch.Tensor, training: torch.Tensor, fake: torch.Tensor
) -> float:
    own = kernels[fake][:, fake].mean()

    def distance(rows: torch.Tensor) -> float:
        across = kernels[rows][:, fake].mean()
        return max(0.0, float(kernels[rows][:, rows].mean() + own - 2 * across))

    unseen, seen = distance(held_out), distance(training)
    return unseen / (unseen + seen) if unseen + seen > 0 else 0.5


class Palate(Metric):
    """PALATE of as many held-out as training photographs, one a patient."""

    name = "palate"

    def figures(self, sets: Compared, conditions: Conditions) -> tuple[Score | Unavailable]:
        """One figure (see `Metric`)."""
        seed = conditions.draws.seed
        rng = numpy_generator(seed, "palate")
        chosen = []
        for name, side in (("held-out", sets.held_out), ("training", sets.members)):
            units = None if side is None else independent_units(side.images)
            rows = np.empty(0, int) if units is None else one_of_each(units, seed, "palate", name)
            if side is None or len(rows) < _FEWEST:
                reason = f"{_FEWEST} {name} photographs of different patients are needed"
                return (Unavailable(self.name, f"{reason}, and there are {len(rows)}"),)
            chosen.append(side.measured["features"][torch.from_numpy(rng.permutation(rows))])
        count = min(*map(len, chosen), _LARGEST)
        held_out, training = (features[:count] for features in chosen)
        fake = sets.fake.measured["features"][:_LARGEST]
        kernels = _kernels(torch.cat([held_out, training, fake]), 2 * count)
        rows_of_fake = torch.arange(2 * count, len(kernels))
        p = relabelled(
            lambda first, second: {"palate": _share(kernels, first, second, rows_of_fake)},
            torch.arange(count),
            torch.arange(count, 2 * count),
            Asked(("palate",), "lower", _FEWEST),
            relabellings=conditions.draws.relabellings,
            rng=rng,
        )["palate"]
        value = palate(held_out, training, fake)
        return (
            conditions.score(
                f"palate-{conditions.extractor}",
                value,
                "lower",
                Beside(p=p, n_tested=count),
                about="copying",
                note=(
                    f"0.5 is expected of a generator that lies as near to new photographs as to the "
                    f"{count} of its training that were compared; towards 1 it copies"
                ),
            ),
        )


METRIC = Palate()
