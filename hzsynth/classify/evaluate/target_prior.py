"""The target class as frequent as it is: a shift of its log-odds, chosen on validation photographs.

A class that was filled to ten times its photographs is ten times as frequent in training as it is
in the world, and the network learns that, too: its first choice falls on the class too often, while
the order of the photographs is untouched. The remedy is one number added to the log-odds of the
class (Saerens, Latinne, Decaestecker, Neural Computation 2002, for a known new prior); here it is
that under which real validation photographs are likeliest.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from hzsynth.core.errors import InputError
from hzsynth.statistics.answers import Answers
from hzsynth.statistics.classification import CHOICE_METRICS
from hzsynth.statistics.metric_intervals import Metric, metrics_with_intervals

PRIOR_SPREAD = 2.0
"""Standard deviation of the shift beforehand: a factor of e^2 = 7 in the odds, either way. It keeps
the shift finite where every validation photograph is classified rightly."""

_CERTAIN = 1e-7
_FARTHEST = 10.0


@dataclass(frozen=True)
class CorrectedPrior:
    """A classifier's choices after the shift.

    Attributes:
        shift: added to the log-odds of the target class, nats; 0 leaves all as it is.
        photographs: of validation, on which it was chosen.
        positives: those of the target class.
        metrics: names in `CHOICE_METRICS` -> figure on the photographs judged, with interval. The
            order of the photographs, thus AUROC and average precision of the class, is as before.
    """

    shift: float
    photographs: int
    positives: int
    metrics: dict[str, Metric]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def fit_shift(validation: Answers) -> float:
    """The shift under which the validation photographs are likeliest.

    Minimises the binary cross-entropy of the target class against the rest, plus
    b^2 / (2 PRIOR_SPREAD^2), over the shift b.

    Args:
        validation: answers about photographs that the network did not learn from.

    Returns:
        The shift, nats.

    Raises:
        InputError: the target class does not occur, or nothing else does.
    """
    positive = validation.is_target
    if not positive.any() or positive.all():
        raise InputError("a shift needs validation photographs of the target class and of others")
    odds = logit(np.clip(validation.score, _CERTAIN, 1 - _CERTAIN))
    side = np.where(positive, -1.0, 1.0)

    def cost(shift: float) -> float:
        return float(
            np.logaddexp(0, side * (odds + shift)).sum() + shift**2 / (2 * PRIOR_SPREAD**2)
        )

    return float(minimize_scalar(cost, bounds=(-_FARTHEST, _FARTHEST), method="bounded").x)


def shifted(answers: Answers, shift: float) -> Answers:
    """The answers with the target class's log-odds moved; the others keep their proportions."""
    score = np.clip(answers.score, _CERTAIN, 1 - _CERTAIN)
    moved = expit(logit(score) + shift)
    probabilities = answers.probabilities * ((1 - moved) / (1 - score))[:, None]
    probabilities[:, answers.target] = moved
    return replace(answers, probabilities=probabilities)


def corrected_prior(
    validation: Answers, answers: Answers, *, seed: int = 0, bootstrap: int = 1000
) -> CorrectedPrior:
    """Chooses the shift on validation photographs and judges the choices that follow from it.

    Args:
        validation: answers that the shift is chosen on.
        answers: those of the same classifier that are judged.
        seed: of the bootstrap.
        bootstrap: replicates.

    Returns:
        The shift and its figures.

    Raises:
        InputError: see `fit_shift`.
    """
    shift = fit_shift(validation)
    found = metrics_with_intervals(shifted(answers, shift), seed=seed, bootstrap=bootstrap)
    return CorrectedPrior(
        shift=shift,
        photographs=len(validation),
        positives=int(validation.is_target.sum()),
        metrics={name: found[name] for name in CHOICE_METRICS},
    )
