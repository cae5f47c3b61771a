"""Which weights of a training are kept: those that did best on the validation photographs."""

from dataclasses import dataclass
from typing import Any

import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import nn
from torch.nn import functional

from hzsynth.classify.models import PixelNetwork
from hzsynth.classify.train.loading import LabelledImages

Weights = dict[str, torch.Tensor]


def validation_scores(logits: torch.Tensor, targets: torch.Tensor, target: int) -> dict[str, float]:
    """Scores that a checkpoint is chosen by.

    Args:
        logits: float N x C.
        targets: int64 N.
        target: place of the target class.

    Returns:
        ``loss`` (cross-entropy in nats), ``accuracy``, ``macro_f1`` and ``f1_target``; a class
        that is neither there nor predicted does not count, one without a hit has F1 0.
    """
    predicted = logits.argmax(1).numpy()
    truth = targets.numpy()
    return {
        "loss": float(functional.cross_entropy(logits, targets)),
        "accuracy": float(accuracy_score(truth, predicted)),
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0.0)),
        "f1_target": float(
            f1_score(truth, predicted, labels=[target], average="macro", zero_division=0.0)
        ),
    }


def rank(scores: dict[str, float]) -> tuple[float, float]:
    """Orders checkpoints and teachers: by macro F1, ties by the lower cross-entropy."""
    return scores["macro_f1"], -scores["loss"]


BLENDS = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Shares of the fine-tuned weights that are compared on validation; of equals the first is kept."""


@dataclass(frozen=True)
class Choice:
    """Among which weights is chosen.

    Attributes:
        after: only those after this step may be chosen, and the last.
        blends: shares of the fine-tuned weights, the rest being the linear-probed network's (WiSE-FT,
            Wortsman et al. 2022, arXiv:2109.01903), of which the best on validation is kept; empty:
            no blending. What a fine-tuning happened to learn differs between seeds, the probed
            network hardly does.
    """

    after: int = 0
    blends: tuple[float, ...] = ()


ANY_WEIGHTS = Choice()


class Selection:
    """The best weights so far, and what they are compared with.

    Args:
        network: how candidates are asked.
        validation: the photographs.
        target: place of the target class.
        choice: what may be chosen.

    Attributes:
        step: after which the best weights were reached.
        scores: of the best weights.
        weights: the best ones.
        waited: looks since then.
    """

    def __init__(
        self, network: PixelNetwork, validation: LabelledImages, target: int, choice: Choice
    ) -> None:
        self._network, self._validation, self._target = network, validation, target
        self._choice = choice
        self._probed: Weights | None = None
        self.step, self.waited = 0, 0
        self.scores: dict[str, float] = {}
        self.weights: Weights = {}

    def look(self, network: nn.Module, step: int, *, probed: bool, last: bool) -> dict[str, float]:
        """Scores of the averaged network; the best one is kept.

        Args:
            network: with averaged weights.
            step: so many have been made.
            probed: whether only the head has learned so far. Where weights are blended, the last
                such network is what later ones are blended with, and no candidate by itself.
            last: whether no step follows.
        """
        scores, candidate = self._scores(network), step > self._choice.after or last
        if probed and self._choice.blends:
            self._probed, candidate = _copied(network), last
        if candidate:
            if not self.scores or rank(scores) > rank(self.scores):
                self.step, self.scores, self.waited = step, scores, 0
                self.weights = _copied(network)
            else:
                self.waited += 1
        return scores

    def blended(self, network: nn.Module) -> tuple[dict[str, float], float]:
        """Puts the best weights, blended where that is better, into a network.

        Args:
            network: takes the weights.

        Returns:
            Their scores, and the share of the fine-tuned weights.
        """
        if self._probed is None:
            network.load_state_dict(self.weights)
            return dict(self.scores), 1.0
        found: dict[float, dict[str, float]] = {}
        for share in self._choice.blends:
            network.load_state_dict(_blend(self._probed, self.weights, share))
            found[share] = self._scores(network)
        best = max(found, key=lambda share: rank(found[share]))
        network.load_state_dict(_blend(self._probed, self.weights, best))
        return found[best], best

    def _scores(self, network: nn.Module) -> dict[str, float]:
        asked = self._network.with_network(network.eval())
        logits = asked.logits(self._validation.pixels)
        return validation_scores(logits, self._validation.targets, self._target)

    def state_dict(self) -> dict[str, Any]:
        """The best weights and the probed ones."""
        return {
            "step": self.step,
            "scores": self.scores,
            "weights": self.weights,
            "waited": self.waited,
            "probed": self._probed,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a `state_dict`."""
        self.step, self.waited = state["step"], state["waited"]
        self.scores, self.weights = state["scores"], state["weights"]
        self._probed = state["probed"]


def _blend(probed: Weights, tuned: Weights, share: float) -> Weights:
    """Weights on the line from the probed ones (share 0) to the fine-tuned ones (share 1)."""
    return {
        name: torch.lerp(probed[name], value, share) if value.is_floating_point() else value
        for name, value in tuned.items()
    }


def _copied(network: nn.Module) -> Weights:
    return {name: value.clone() for name, value in network.state_dict().items()}
