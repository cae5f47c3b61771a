"""Power: which share of copies would this audit have found, at this number of photographs?

Copies are planted where they can be counted: training photographs take the places of some generated images,
the tests are run, and again with other copies, for growing shares. What the perceptual hash would
find on its own is left out, so that the answer holds for copies in disguise.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.copying import mann_whitney
from hzsynth.audit.distances import Distances
from hzsynth.audit.leaning import exchange_roles, leaning_test
from hzsynth.audit.membership import membership, membership_failures
from hzsynth.audit.space_tests import (
    attack_classes,
    attack_figures,
    leaning_failures,
    nearness_failures,
    nearness_in,
)
from hzsynth.core.seeding import numpy_generator

SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
_REPEATS = 20
_WANTED = 0.9
_REPLICATES, _EXCHANGES = 200, 999


def smallest_share_found(distances: Sequence[Distances], config: AuditConfig) -> float | None:
    """The smallest share of planted copies that nine of ten such audits find.

    Args:
        distances: of the audited set, in each space.
        config: the gate's settings.

    Returns:
        One of `SHARES`; None where not even copies alone would be found.
    """
    exchanged = exchange_roles(distances[0].roles, _EXCHANGES)
    for share in SHARES:
        rng = numpy_generator(config.seed, "audit", "power", str(share))
        found = [
            _found(_planted(distances, share, rng), config, exchanged, rng) for _ in range(_REPEATS)
        ]
        if np.mean(found) >= _WANTED:
            return share
    return None


def _planted(
    distances: Sequence[Distances], share: float, rng: np.random.Generator
) -> list[Distances]:
    """The same copies in every space."""
    images, roles = len(distances[0].to_train), distances[0].roles
    own = np.flatnonzero(roles.asked[roles.train].numpy())
    count = max(1, round(share * images))
    places = torch.from_numpy(rng.permutation(images)[:count])
    copied = torch.from_numpy(rng.choice(own, size=count))
    return [d.with_copies(places, copied) for d in distances]


def _found(
    distances: Sequence[Distances],
    config: AuditConfig,
    exchanged: NDArray[np.bool_],
    rng: np.random.Generator,
) -> bool:
    """Whether any test of any space fails; the quick ones first."""
    for d in distances:
        leaning = leaning_test(d.leanings, d.roles, exchanged)
        if leaning_failures(leaning, config) or nearness_failures(nearness_in(d, config), config):
            return True
    return any(_told(d, config, rng) for d in distances)


def _told(distances: Distances, config: AuditConfig, rng: np.random.Generator) -> bool:
    figures = attack_figures(distances)
    # The quick half of the test first: most sets need no bootstrap.
    classes = attack_classes(distances)
    if mann_whitney(*figures, *classes)[0] >= config.lowest_c_t:
        return False
    attack = membership(*figures, rng, _REPLICATES, classes=classes)
    return bool(membership_failures(attack, config.most_auc, config.lowest_c_t))
