"""The eight fine-tuning strategies as phases of a training (compared by Davila et al. 2024).

``full``, ``linear`` and ``lp-ft`` see `classify.train.finetuning`. Gradual unfreezing (Howard and Ruder 2018)
begins with the head and adds a quarter of the body's layers at a time, from the last to the first
or the other way round. L1-SP and L2-SP (Li et al. 2018, arXiv 1802.01483) hold the body near the
weights that it started from and the head near zero. Auto-RGN (Lee et al. 2023, arXiv 2210.11466) gives
each layer a rate in proportion to its relative gradient norm.
"""

from collections.abc import Callable

import torch
from torch import nn

from hzsynth.classify.models import head_of
from hzsynth.classify.train.finetuning import (
    Phase,
    PhaseLoss,
    Stateful,
    Strategy,
    linear_steps,
)

_QUARTERS = 4


class NearStart:
    """A loss with a penalty on the distance from the starting weights.

    Adds ``body x sum |w - w_0|^p + head x sum |w|^p`` (p = 2 with factor 1/2, or p = 1), over the
    weights that are no biases and no batch-norm weights.

    Args:
        loss: of a step.
        network: before it has learned anything.
        power: 1 or 2.
        body: strength on the body.
        head: strength on the head.
    """

    def __init__(
        self, loss: PhaseLoss, network: nn.Module, *, power: int, body: float, head: float
    ) -> None:
        if power not in (1, 2):
            raise ValueError(f"power is 1 or 2, not {power}")
        self._loss, self._power, self._strengths = loss, power, (body, head)
        own = {id(parameter) for parameter in head_of(network).parameters()}
        weights = [p for p in network.parameters() if p.dim() > 1]
        self._body = [(p, p.detach().clone()) for p in weights if id(p) not in own]
        self._head = [p for p in weights if id(p) in own]

    def __call__(self, step: int) -> torch.Tensor:
        """The loss at a step, penalty included."""
        body, head = self._strengths
        far = torch.stack([self._size(p - start) for p, start in self._body]).sum()
        large = torch.stack([self._size(p) for p in self._head]).sum()
        return self._loss(step) + body * far + head * large

    def _size(self, difference: torch.Tensor) -> torch.Tensor:
        return difference.abs().sum() if self._power == 1 else 0.5 * difference.square().sum()


def strategy_phases(
    strategy: Strategy,
    network: nn.Module,
    *,
    steps: int,
    linear_share: float,
    rates: tuple[float, float],
    penalty: tuple[float, float],
    probe: PhaseLoss,
    supervised: PhaseLoss,
    state: Stateful | None = None,
) -> list[Phase]:
    """The phases of a strategy; all strategies make the same number of steps.

    Args:
        strategy: its name.
        network: before it has learned anything.
        steps: of all phases together.
        linear_share: LP-FT's share of linear probing.
        rates: Adam's rates of the body, and of a head that starts from zero.
        penalty: strengths of L1-SP and L2-SP on the body and on the head.
        probe: loss of the head on frozen features.
        supervised: loss of the whole network.
        state: what that loss has learned itself; None: nothing.

    Returns:
        The phases, some of which may have no steps.
    """
    body_rate, head_rate = rates
    if strategy.startswith("gradual"):
        return _gradual(strategy, steps, rates, probe, supervised, state)
    probing = linear_steps(strategy, steps, linear_share)
    loss: PhaseLoss = supervised
    if strategy in ("l1-sp", "l2-sp"):
        power = 1 if strategy == "l1-sp" else 2
        loss = NearStart(supervised, network, power=power, body=penalty[0], head=penalty[1])
    # After linear probing the head fits the features already and moves with the body.
    own_head_rate = head_rate if probing == 0 else body_rate
    relative = strategy == "auto-rgn"
    return [
        Phase("linear probing", probing, False, 0.0, head_rate, probe),
        Phase(
            "full fine-tuning",
            steps - probing,
            True,
            body_rate,
            own_head_rate,
            loss,
            relative_rates=relative,
            state=state,
        ),
    ]


def _gradual(
    strategy: Strategy,
    steps: int,
    rates: tuple[float, float],
    probe: PhaseLoss,
    supervised: PhaseLoss,
    state: Stateful | None,
) -> list[Phase]:
    """The head, then with a quarter of the layers, two, three, all: equal numbers of steps."""
    part: Callable[[float], tuple[float, float]] = (
        (lambda share: (1 - share, 1.0))
        if strategy == "gradual-last-first"
        else (lambda share: (0.0, share))
    )
    ends = [round(steps * (k + 1) / (_QUARTERS + 1)) for k in range(_QUARTERS + 1)]
    phases = [Phase("linear probing", ends[0], False, 0.0, rates[1], probe)]
    for quarter in range(1, _QUARTERS + 1):
        share = quarter / _QUARTERS
        name = f"fine-tuning of {share:.0%} of the layers"
        own = ends[quarter] - ends[quarter - 1]
        phases.append(
            Phase(name, own, True, rates[0], rates[0], supervised, part(share), state=state)
        )
    return phases
