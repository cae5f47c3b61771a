"""Which weights of a training are kept: those that did best on the validation photographs."""

import copy
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


@dataclass(frozen=True)
class Choice:
    """Among which weights is chosen.

    Attributes:
        after: only those after this step may be chosen, and the last.
        blend: share of the fine-tuned weights in every candidate after linear probing, the rest
            being the linear-probed network's (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903). What a
            fine-tuning happened to learn differs between seeds, the probed network hardly does.
    """

    after: int = 0
    blend: float = 1.0


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
        self._blended = copy.deepcopy(network.network) if choice.blend < 1 else None
        self._probed: Weights | None = None
        self.step, self.waited = 0, 0
        self.scores: dict[str, float] = {}
        self.weights: Weights = {}

    def look(self, averaged: nn.Module, step: int, last: bool) -> dict[str, float]:
        """Scores of the candidate that follows from the averaged weights; the best one is kept.

        Args:
            averaged: the network with averaged weights, in evaluation mode.
            step: so many have been made.
            last: whether no step follows.
        """
        network = self._candidate(averaged)
        logits = self._network.with_network(network).logits(self._validation.pixels)
        scores = validation_scores(logits, self._validation.targets, self._target)
        if step > self._choice.after or last:
            if not self.scores or rank(scores) > rank(self.scores):
                self.step, self.scores, self.waited = step, scores, 0
                self.weights = _copied(network)
            else:
                self.waited += 1
        return scores

    def remember_probed(self, averaged: nn.Module) -> None:
        """Takes up the linear-probed weights, with which later ones are blended."""
        if self._blended is not None:
            self._probed = _copied(averaged)

    def _candidate(self, averaged: nn.Module) -> nn.Module:
        """The averaged network, blended with the linear-probed one once the body learns."""
        if self._blended is None or self._probed is None:
            return averaged.eval()
        self._blended.load_state_dict(
            {
                name: torch.lerp(self._probed[name], value, self._choice.blend)
                if value.is_floating_point()
                else value
                for name, value in averaged.state_dict().items()
            }
        )
        return self._blended.eval()

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


def _copied(network: nn.Module) -> Weights:
    return {name: value.clone() for name, value in network.state_dict().items()}
