"""When to stop and which moment to keep: the closest generator that does not copy.

A generator of tens of images comes closer to its photographs for as long as it is trained, in the
end by copying them. So a moment is kept only while the share of near-copies is small; of those the
closest one is the best, and training ends when it was not surpassed for some evaluations.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from hzsynth.score.copies import QUANTILE

COLLAPSED = 0.5
"""Diversity under which samples count as collapsed: half of the photographs' own."""


@dataclass(frozen=True)
class Moment:
    """One evaluation.

    Attributes:
        step: when.
        kid: closeness, smaller is closer.
        kid_error: its standard error, for other photographs and other samples.
        kid_error_of_samples: for other samples beside the same photographs, as two moments of a run
            differ.
        copies: share of near-copies among the samples.
        diversity: of the samples by that of the photographs; 1 where it cannot be told.
    """

    step: int
    kid: float
    kid_error: float
    kid_error_of_samples: float
    copies: float
    diversity: float = 1.0

    def figures(self) -> dict[str, float]:
        """The figures by their names."""
        return {name: value for name, value in asdict(self).items() if name != "step"}


@dataclass
class MomentChoice:
    """The evaluations of a run so far.

    Attributes:
        most_copies: a moment with a larger share of near-copies is not kept when one without is
            there.
        patience: stop after so many evaluations without a gain; 0 never stops.
        best: the moment to keep, or None before the first.
        waited: evaluations without a gain of more than one standard error of the samples.
    """

    most_copies: float
    patience: int
    best: Moment | None = None
    waited: int = 0
    _reached: float = field(default=float("inf"), repr=False)

    def add(self, moment: Moment) -> bool:
        """Takes an evaluation in.

        Returns:
            Whether it is the best so far.
        """
        copying = moment.copies > self.most_copies
        # Near-copies never count as progress, however close they are.
        if not copying and moment.kid < self._reached - moment.kid_error_of_samples:
            self._reached, self.waited = moment.kid, 0
        else:
            self.waited += 1
        if self.best is None or self._order(moment) < self._order(self.best):
            self.best = moment
            return True
        return False

    def _order(self, moment: Moment) -> tuple[float, float]:
        over = max(0.0, moment.copies - self.most_copies)
        return over, moment.kid

    @property
    def stop(self) -> bool:
        """Whether the patience is at its end."""
        return 0 < self.patience <= self.waited

    def alarms(self, moment: Moment) -> tuple[str, ...]:
        """What a user should know about a moment, a sentence each."""
        found = []
        if moment.diversity < COLLAPSED:
            found.append(
                f"collapse: two samples differ {moment.diversity:.2f} times as much as two "
                f"photographs do (alarm below {COLLAPSED})"
            )
        if moment.copies > self.most_copies:
            found.append(
                f"copying: {moment.copies:.0%} of the samples lie nearer to a training photograph "
                f"than {QUANTILE:.0%} of other photographs do (alarm above {self.most_copies:.0%})"
            )
        return tuple(found)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        best = None if self.best is None else asdict(self.best)
        return {"best": best, "waited": self.waited, "reached": self._reached}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a checkpoint's state."""
        best = state["best"]
        self.best = None if best is None else Moment(**best)
        self.waited, self._reached = state["waited"], state["reached"]
