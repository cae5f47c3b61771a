"""The eight fine-tuning strategies as phases of a training (compared by Davila et al. 2024).

``full``, ``linear`` and ``lp-ft`` see `classify.train.finetuning`. Gradual unfreezing (Howard and Ruder 2018)
begins with the head and adds a quarter of the body's layers at a time, from the last to the first
or the other way round. L1-SP and L2-SP (Li et al. 2018, arXiv 1802.01483) hold the body near the
weights that it started from and the head near zero. Auto-RGN (Lee et al. 2023, arXiv 2210.11466) gives
each layer a rate in proportion to its relative gradient norm.
"""

import torch
from torch import nn

from hzsynth.classify.models import head_of
from hzsynth.classify.train.config import ClassifyConfig
from hzsynth.classify.train.finetuning import Phase, linear_steps
from hzsynth.classify.train.objective import Losses, StepLosses, with_penalty
from hzsynth.core.training_state import Stateful

_QUARTERS = 4


class NearStart:
    """A loss with a penalty on the distance from the starting weights.

    Adds ``body x sum |w - w_0|^p + head x sum |w|^p`` (p = 2 with factor 1/2, or p = 1), over the
    weights that are no biases and no batch-norm weights.

    Args:
        losses: of a step.
        network: before it has learned anything.
        power: 1 or 2.
        body: strength on the body.
        head: strength on the head.
    """

    def __init__(
        self, losses: StepLosses, network: nn.Module, *, power: int, body: float, head: float
    ) -> None:
        if power not in (1, 2):
            raise ValueError(f"power is 1 or 2, not {power}")
        self._losses, self._power, self._strengths = losses, power, (body, head)
        own = {id(parameter) for parameter in head_of(network).parameters()}
        weights = [p for p in network.parameters() if p.dim() > 1]
        self._body = [(p, p.detach().clone()) for p in weights if id(p) not in own]
        self._head = [p for p in weights if id(p) in own]

    def __call__(self, step: int) -> Losses:
        """The losses at a step, penalty included."""
        body, head = self._strengths
        far = torch.stack([self._size(p - start) for p, start in self._body]).sum()
        large = torch.stack([self._size(p) for p in self._head]).sum()
        return with_penalty(self._losses(step), body * far + head * large)

    def _size(self, difference: torch.Tensor) -> torch.Tensor:
        return difference.abs().sum() if self._power == 1 else 0.5 * difference.square().sum()


def strategy_phases(
    config: ClassifyConfig,
    network: nn.Module,
    *,
    probe: StepLosses,
    supervised: StepLosses,
    objective: Stateful | None = None,
) -> list[Phase]:
    """The phases of a strategy; all strategies make the same number of steps.

    Args:
        config: names the strategy, its steps, rates and penalties.
        network: before it has learned anything.
        probe: loss of the head on frozen features.
        supervised: losses of the whole network.
        objective: whose own state belongs to `supervised`; None: nothing.

    Returns:
        The phases, some of which may have no steps.
    """
    if config.finetune.startswith("gradual"):
        return _gradual(config, probe, supervised, objective)
    body_rate, head_rate = config.learning_rate, config.head_learning_rate
    probing = linear_steps(config.finetune, config.steps, config.linear_share)
    losses = supervised
    if config.finetune in ("l1-sp", "l2-sp"):
        power = 1 if config.finetune == "l1-sp" else 2
        body, head = config.start_penalty, config.head_penalty
        losses = NearStart(supervised, network, power=power, body=body, head=head)
    return [
        Phase("linear probing", probing, False, 0.0, head_rate, probe),
        Phase(
            "full fine-tuning",
            config.steps - probing,
            True,
            body_rate,
            # After linear probing the head fits the features already and moves with the body.
            head_rate if probing == 0 else body_rate,
            losses,
            relative_rates=config.finetune == "auto-rgn",
            objective=objective,
        ),
    ]


def _gradual(
    config: ClassifyConfig,
    probe: StepLosses,
    supervised: StepLosses,
    objective: Stateful | None,
) -> list[Phase]:
    """The head, then with a quarter of the layers, two, three, all: equal numbers of steps."""
    rate, steps = config.learning_rate, config.steps
    ends = [round(steps * (k + 1) / (_QUARTERS + 1)) for k in range(_QUARTERS + 1)]
    phases = [Phase("linear probing", ends[0], False, 0.0, config.head_learning_rate, probe)]
    for quarter in range(1, _QUARTERS + 1):
        share = quarter / _QUARTERS
        part = (1 - share, 1.0) if config.finetune == "gradual-last-first" else (0.0, share)
        name = f"fine-tuning of {share:.0%} of the layers"
        own = ends[quarter] - ends[quarter - 1]
        phases.append(Phase(name, own, True, rate, rate, supervised, part, objective=objective))
    return phases
