"""Which of two methods brings the same photographs nearer to the target, and how sure that is.

Photographs of a patient resemble each other, so that all pairs within a patient are left out of the squared
MMD (see `score.metrics.kid`), and its error is that of patients: a jackknife over those of both sides
(Efron and Stein 1981). The methods are compared on the same patients, so most of the error of either is
that of both and cancels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import polynomial_kernel

from hzsynth.cyclegan.skin_patches import Described

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """How much nearer one set is to the target than another.

    Attributes:
        value: squared MMD of the other minus that of the one; positive: nearer.
        error: its standard error, of patients.
    """

    value: float
    error: float

    @property
    def is_nearer(self) -> bool:
        """Whether it is nearer beyond twice the error."""
        return self.value > 2 * self.error

    @property
    def is_further(self) -> bool:
        """Whether it is further away beyond twice the error."""
        return self.value < -2 * self.error


def gain_over(target: Described, made: Described, other: Described) -> Gain | None:
    """Compares what two methods made of the same photographs.

    Args:
        target: M patches, at least three patients.
        made: N patches by the method.
        other: N' patches by the one that it has to beat, of the same patients.

    Returns:
        The gain; None with fewer than three patients on a side.
    """
    patients = sorted(set(made.patients) & set(other.patients))
    wanted = sorted(set(target.patients))
    if min(len(patients), len(wanted)) < 3:
        return None
    sides = [_Sums.of(target, wanted, side, patients) for side in (made, other)]

    def difference(rows: Floats, columns: Floats) -> float:
        one, two = (side.distance(rows, columns) for side in sides)
        return two - one

    everyone = np.ones(len(wanted)), np.ones(len(patients))
    variance = 0.0
    for side, count in enumerate((len(wanted), len(patients))):
        left_out = []
        for place in range(count):
            weights = [everyone[0].copy(), everyone[1].copy()]
            weights[side][place] = 0.0
            left_out.append(difference(*weights))
        spread = np.array(left_out) - np.mean(left_out)
        variance += (count - 1) / count * float((spread**2).sum())
    return Gain(difference(*everyone), float(np.sqrt(variance)))


@dataclass(frozen=True)
class _Sums:
    """Kernels summed over the patches of pairs of patients.

    Attributes:
        within: P x P, of a method's patches with each other.
        across: M x P, of the target's patches with them.
        counts: P patches of each patient.
        target_counts: M patches of each of the target's patients.
    """

    within: Floats
    across: Floats
    counts: Floats
    target_counts: Floats

    @classmethod
    def of(
        cls, target: Described, wanted: Sequence[str], made: Described, patients: Sequence[str]
    ) -> "_Sums":
        rows, columns = _belongs(target, wanted), _belongs(made, patients)
        own, theirs = made.features.double().numpy(), target.features.double().numpy()
        return cls(
            columns @ _kernel(own, own) @ columns.T,
            rows @ _kernel(theirs, own) @ columns.T,
            columns.sum(axis=1),
            rows.sum(axis=1),
        )

    def distance(self, rows: Floats, columns: Floats) -> float:
        """Squared MMD of weighted patients, but for the part that is the target's alone."""
        counts = self.counts * columns
        pairs = counts.sum() ** 2 - (counts**2).sum()
        same = columns @ self.within @ columns - (columns**2) @ np.diagonal(self.within)
        mixed = rows @ self.across @ columns / ((self.target_counts @ rows) * counts.sum())
        return float(same / pairs - 2 * mixed)


def _belongs(side: Described, patients: Sequence[str]) -> Floats:
    """P x N, one where a patch is of a patient."""
    return np.array([[float(own == name) for own in side.patients] for name in patients])


def _kernel(first: Floats, second: Floats) -> Floats:
    """KID's: the cube of one more than the mean product."""
    return np.asarray(polynomial_kernel(first, second, degree=3, coef0=1))
