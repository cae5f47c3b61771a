"""What a perfect method would score: the target's photographs against others of their own patients.

Patients are on one side only, since photographs of a patient resemble each other, and both sides are as
large as those that the methods are measured with.
"""

from collections.abc import Sequence

import numpy as np

from hzsynth.core.seeding import numpy_generator
from hzsynth.cyclegan.measures import SkinColour, colour_distances
from hzsynth.cyclegan.skin_patches import Described
from hzsynth.score.floors import Floor, mean_and_spread
from hzsynth.score.metrics.kid import squared_mmd

_REPEATS = 50


def tone_floor(
    colours: Sequence[SkinColour], patients: Sequence[str], counts: tuple[int, int], seed: int
) -> float | None:
    """How far photographs of one population lie apart in tone, by chance alone.

    There are no twice as many photographs to draw from, so both sides are drawn from the patients with
    replacement: a bootstrap by patient.

    Args:
        colours: of N photographs.
        patients: of each.
        counts: photographs of both sides.
        seed: of the draws.

    Returns:
        Degrees: mean first Wasserstein distance in ITA; None with fewer than two patients.
    """
    names = sorted(set(patients))
    if len(names) < 2:
        return None
    own = [[c for c, name in zip(colours, patients, strict=True) if name == n] for n in names]
    rng = numpy_generator(seed, "compare", "tone-floor")

    def drawn(count: int) -> list[SkinColour]:
        found: list[SkinColour] = []
        while len(found) < count:
            found += own[int(rng.integers(len(own)))]
        return found[:count]

    distances = [colour_distances(drawn(counts[0]), drawn(counts[1]))[0] for _ in range(_REPEATS)]
    return float(np.mean(distances))


def patch_floor(target: Described, part: int, seed: int) -> Floor | None:
    """Squared MMD between patches of some patients and of others.

    Args:
        target: patches of the target's photographs.
        part: patches of a side, fewer where half of the patients do not have so many.
        seed: of the divisions.

    Returns:
        Mean and standard deviation over divisions of the patients; None with fewer than two patients or
        two patches a side.
    """
    names = sorted(set(target.patients))
    rng = numpy_generator(seed, "compare", "patch-floor")
    values = []
    for _ in range(_REPEATS):
        first = set(rng.permutation(names)[: len(names) // 2].tolist())
        sides = target.of(first), target.of(set(names) - first)
        size = min(part, *map(len, sides))
        if size < 2:
            return None
        chosen = [side[rng.permutation(len(side))[:size]] for side in sides]
        values.append(squared_mmd(*chosen))
    return mean_and_spread(values)
