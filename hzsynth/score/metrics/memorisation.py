"""Memorisation: what share of the generated images lies suspiciously near a training photograph.

    share = |{f : d(f, train) < t}| / M,   t = 5 % quantile of d(held-out, train)

with d the Euclidean distance to the nearest neighbour: a generated image counts when it lies nearer to a
training photograph than all but the nearest 5 % of held-out photographs do. A generator that
learned the distribution has a share of about 5 %, a copier close to 100 %. It is the distance to
the closest record that synthetic data are usually audited by, read against held-out records; distance
alone is no proof of privacy ("DCR delusion", arXiv:2505.01524), and `hzsynth.audit` looks closer.
"""

import torch

from hzsynth.core.errors import InputError
from hzsynth.data.independence import independent_units, one_of_each
from hzsynth.score.copies import FALSE_ALARMS, QUANTILE, Memorisation, NearestPair
from hzsynth.score.metric import Compared, Conditions, Metric
from hzsynth.score.results import Unavailable
from hzsynth.statistics.orders import near_probability, noticeable_share, quantile_rank


def nearest_neighbour_memorisation(
    fake: torch.Tensor,
    train: torch.Tensor,
    held_out: torch.Tensor | None,
    *,
    extractor: str,
    pairs: int = 8,
) -> Memorisation:
    """Compares distances fake-to-train with distances held-out-to-train.

    Args:
        fake: float M x D features of the generated images.
        train: float N x D features of the photographs that the generator learned from.
        held_out: float K x D features of photographs that it did not see; None or empty to
            compare with each training photograph's distance to the others.
        extractor: name of the features.
        pairs: number of closest pairs to return.

    Returns:
        The figure with its conditions.

    Raises:
        InputError: there is nothing to compare.

    Examples:
        >>> import torch
        >>> train = torch.tensor([[0.0], [10.0], [20.0]])
        >>> held_out = train + 4
        >>> copies = train + 0.01
        >>> nearest_neighbour_memorisation(copies, train, held_out, extractor="line").share
        1.0
    """
    if len(fake) == 0 or len(train) < 2:
        raise InputError("memorisation needs a generated image and at least two training images")
    if held_out is None or len(held_out) == 0:
        reference, between = "training", torch.cdist(train, train)
        between.fill_diagonal_(float("inf"))
    else:
        reference, between = "held-out", torch.cdist(held_out, train)
    # The rank whose law under chance is known exactly, as in the audit.
    rank = quantile_rank(QUANTILE, len(between))
    threshold = float(between.min(dim=1).values.double().sort().values[rank - 1])
    distances, nearest = torch.cdist(fake, train).min(dim=1)
    order = torch.argsort(distances, stable=True)[:pairs].tolist()
    near = int((distances.double() < threshold).sum())
    against_new = reference == "held-out"
    return Memorisation(
        share=near / len(fake),
        p=near_probability(near, len(fake), rank, len(between)) if against_new else None,
        noticeable=noticeable_share(len(fake), rank, len(between), FALSE_ALARMS),
        threshold=threshold,
        rank=rank,
        reference=reference,
        n_fake=len(fake),
        n_train=len(train),
        n_reference=len(between),
        extractor=extractor,
        closest=tuple(NearestPair(i, int(nearest[i]), float(distances[i])) for i in order),
    )


class MemorisationShare(Metric):
    """Members against held-out photographs; without any, each member's distance to the others stands in."""

    name = "memorisation"

    def figures(self, sets: Compared, conditions: Conditions) -> tuple[Memorisation | Unavailable]:
        """One figure (see `Metric`)."""
        if sets.members is None or len(sets.members.images) < 2:
            return (
                Unavailable(
                    self.name,
                    "`real` holds no training photographs, of which copies could be looked for",
                ),
            )
        held_out = None
        if sets.held_out is not None:
            # One photograph a patient: the chance holds for independent ones.
            units = independent_units(sets.held_out.images)
            rows = torch.from_numpy(one_of_each(units, conditions.draws.seed, "memorisation"))
            held_out = sets.held_out.measured["features"][rows]
        return (
            nearest_neighbour_memorisation(
                sets.fake.measured["features"],
                sets.members.measured["features"],
                held_out,
                extractor=conditions.extractor,
                pairs=conditions.draws.pairs,
            ),
        )


METRIC = MemorisationShare()
