"""The strength of ADA, as strong as the discriminator's overfitting asks for (arXiv:2006.06676, section 3)."""

import math
from typing import Any

import torch


class AdaptiveStrength:
    """Raises the strength p while the discriminator is too sure of the reals, lowers it otherwise.

    The measure is the mean sign of the discriminator's logits of training images: 0 where it
    cannot tell them from fakes, 1 where it has learnt them by heart (arXiv:2006.06676, equation 1).

    Args:
        batch: real images a step, over all processes.
        kimg: thousands of images in which p could go from 0 to 1 (the paper: 500, for runs of
            thousands of kimg); None: in the whole training, as `elapsed` tells of it.
        target: the mean sign that is held.
        interval: steps between two adjustments.
        most: p never exceeds it.
    """

    def __init__(
        self,
        batch: int,
        kimg: float | None = 500.0,
        target: float = 0.6,
        interval: int = 4,
        most: float = 0.8,
    ) -> None:
        self._p = 0.0
        self._most, self._target, self._interval = most, target, interval
        self._change = None if kimg is None else batch * interval / (kimg * 1000.0)
        self._elapsed, self._adjusted = 0.0, 0.0
        self._steps, self._judged = 0, 0
        self._signs: torch.Tensor | int = 0
        self._sureness = 0.0

    @property
    def p(self) -> float:
        """The strength, in [0, most]."""
        return self._p

    @property
    def sureness(self) -> float:
        """The mean sign that p was last adjusted by, in [-1, 1]; 0 before."""
        return self._sureness

    def elapsed(self, share: float) -> None:
        """Tells which share of the training has passed, 0 to 1, before a step."""
        self._elapsed = share

    def observe(self, logits: torch.Tensor) -> None:
        """Takes note of a step; adjusts p at every `interval`-th.

        Args:
            logits: of the step's augmented reals, any shape, positive where they look real; of all
                processes.
        """
        # A sum of signs is a whole number, so that no order of summation can change it.
        self._signs = self._signs + logits.detach().sign().sum(dtype=torch.float64)
        self._judged += logits.numel()
        self._steps += 1
        if self._steps < self._interval:
            return
        self._sureness = float(self._signs) / self._judged
        if self._sureness != self._target:
            change = self._elapsed - self._adjusted if self._change is None else self._change
            step = math.copysign(change, self._sureness - self._target)
            self._p = min(self._most, max(0.0, self._p + step))
        self._steps, self._judged, self._signs = 0, 0, 0
        self._adjusted = self._elapsed

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs, as plain numbers."""
        return {
            "p": self._p,
            "sureness": self._sureness,
            "steps": self._steps,
            "judged": self._judged,
            "signs": int(self._signs),
            "adjusted": self._adjusted,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""
        self._p, self._sureness = state["p"], state["sureness"]
        self._steps, self._judged = state["steps"], state["judged"]
        self._signs, self._adjusted = state["signs"], state["adjusted"]
