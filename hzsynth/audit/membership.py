"""Membership: how well can one tell, from generated images, who was in the training set?

The attack is any figure that is smaller for members, such as the distance to the nearest generated
image (Chen et al. 2020, arXiv 1909.03935), with its true-positive rate at a low false-positive
rate (Carlini et al. 2022, arXiv 2112.03570).
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from hzsynth.audit.copying import mann_whitney

Floats = NDArray[np.float64]

_FALSE_POSITIVES = 0.01
_SELDOM = 2.576


@dataclass(frozen=True)
class Membership:
    """How well one can tell, from the generated images alone, who was in the training set.

    Attributes:
        auc: area under the ROC curve of the attack's figure; .5 is chance.
        low: lower end of its 95 % interval (bootstrap over photographs).
        high: upper end.
        z: z score of the Mann-Whitney test, negative where members are told.
        tpr: true-positive rate at 1 % false positives.
        members: training photographs.
        others: held-out photographs.
        control: the same attack's AUC between two parts of the held-out photographs, neither of
            which any generator saw: it should lie near .5, and can fail to.
        control_spread: the standard deviation that chance gives it.
    """

    auc: float
    low: float
    high: float
    z: float
    tpr: float
    members: int
    others: int
    control: float
    control_spread: float

    @property
    def control_fails(self) -> bool:
        """Whether the control finds a difference (in 1 % of cases by chance) where there is none."""
        return abs(self.control - 0.5) > _SELDOM * self.control_spread

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def membership(
    members: Floats,
    others: Floats,
    rng: np.random.Generator,
    replicates: int = 1000,
    *,
    first: NDArray[np.bool_] | None = None,
    classes: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> Membership:
    """Membership inference by any figure that is smaller for members.

    Args:
        members: N figures of training photographs, such as distances to the nearest generated
            image, at least 4.
        others: K figures of held-out photographs, at least 4.
        rng: of the bootstrap, and of the control's division where none is given.
        replicates: of the bootstrap.
        first: bool K, held-out photographs that stand for members in the control; by default a
            random half.
        classes: N and K numbers: photographs are compared within a class. By default all are of one.

    Returns:
        The attack's success, and that of the same attack where nobody is a member.
    """
    n, k = len(members), len(others)
    of_members, of_others = classes or (np.zeros(n, np.int64), np.zeros(k, np.int64))
    pairs = (of_members[:, None] == of_others).astype(np.float64)
    wins = _wins(members, others) * pairs
    drawn_members = rng.multinomial(n, np.full(n, 1 / n), replicates)
    drawn_others = rng.multinomial(k, np.full(k, 1 / k), replicates)
    # A resampled AUC is the same table of wins under other weights.
    weights = drawn_members.astype(np.float64)
    compared = ((weights @ pairs) * drawn_others).sum(axis=1)
    areas = ((weights @ wins) * drawn_others).sum(axis=1)[compared > 0] / compared[compared > 0]
    if first is None:
        first = rng.permutation(k) < k // 2
    control, spread = _control(others, of_others, first)
    truth = np.r_[np.ones(n), np.zeros(k)]
    # Every threshold: by default collinear points are left out, and with them the best at 1 %.
    false, true, _ = roc_curve(truth, -np.r_[members, others], drop_intermediate=False)
    low, high = np.quantile(areas, (0.025, 0.975))
    return Membership(
        auc=float(wins.sum() / pairs.sum()),
        low=float(low),
        high=float(high),
        z=mann_whitney(members, others, of_members, of_others)[0],
        tpr=float(true[false <= _FALSE_POSITIVES].max()),
        members=n,
        others=k,
        control=control,
        control_spread=spread,
    )


def _control(
    others: Floats, classes: NDArray[np.int64], first: NDArray[np.bool_]
) -> tuple[float, float]:
    """The AUC between two parts of the held-out photographs, and its spread under chance."""
    wins, pairs, variance = 0.0, 0, 0.0
    for number in np.unique(classes):
        one, other = others[first & (classes == number)], others[~first & (classes == number)]
        count = len(one) * len(other)
        wins += float(_wins(one, other).sum())
        pairs += count
        variance += count * (len(one) + len(other) + 1) / 12
    return (wins / pairs, float(np.sqrt(variance) / pairs)) if pairs else (0.5, 0.5)


def _wins(members: Floats, others: Floats) -> Floats:
    """N x K: 1 where the member's figure is the smaller, 1/2 where both are equal."""
    wins: Floats = (members[:, None] < others) + 0.5 * (members[:, None] == others)
    return wins


def membership_failures(attack: Membership, most_auc: float, lowest_z: float) -> tuple[str, ...]:
    """Why the gate fails: membership's AUC is surely above `most_auc`.

    Args:
        attack: the attack's success.
        most_auc: its whole 95 % interval must lie above.
        lowest_z: and its rank test must be below; with few photographs a bootstrap interval is
            too short (with eight, three spaces gave 7 % false alarms by the interval alone).

    Returns:
        One sentence, or none where the gate passes.
    """
    if attack.low <= most_auc or attack.z >= lowest_z:
        return ()
    return (
        f"membership is told with an AUC of {attack.auc:.2f} "
        f"({attack.low:.2f} to {attack.high:.2f})",
    )
