"""Membership inference by the discriminator's score.

A discriminator is trained to tell its photographs from generated images; one that memorised
them scores them higher than other photographs (LOGAN, Hayes et al. 2019, arXiv 1705.07663).
This is the attack of somebody who holds the network. Only images are released, so by default it
informs: it tells how far the run has overfitted, and that its weights must not leave.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hzsynth.audit.membership import Membership, membership, membership_failures
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.data.loading import load_pixels

_FEWEST = 8
_AT_ONCE = 64


@dataclass(frozen=True)
class Judge:
    """A run's discriminator, ready to be asked.

    Attributes:
        run: the run's id.
        trained_on: the photographs that the run learned from.
        size: side of the pictures that it takes, pixels.
        step: the step of the checkpoint.
        score: uint8 N x 3 x size x size -> N scores, higher for what looks like training;
            a picture's score must not depend on the others of its batch.
    """

    run: str
    trained_on: tuple[TrainingImage, ...]
    size: int
    step: int
    score: Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class DiscriminatorAttack:
    """What the discriminator's scores tell about who was in the training set.

    Attributes:
        run: the run's id.
        step: of its checkpoint.
        size: side of the pictures, pixels.
        membership: success of the attack.
        gates: whether the gate counts it.
        failures: sentences why it would fail the gate; empty when it would pass.
    """

    run: str
    step: int
    size: int
    membership: Membership
    gates: bool
    failures: tuple[str, ...]

    def sentence(self) -> str:
        """What was found, and whether it counts."""
        found = self.membership
        words = (
            f"The discriminator of {self.run} (step {self.step}) tells training from held-out "
            f"photographs with an AUC of {found.auc:.2f} ({found.low:.2f} to {found.high:.2f})"
        )
        if self.gates:
            return f"{words}; the gate counts this."
        advice = (
            "its weights must not leave the enclave" if self.failures else "keep its weights inside"
        )
        return f"{words}; this informs and does not gate, since only images are released: {advice}."

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "run": self.run,
            "step": self.step,
            "size": self.size,
            "gates": self.gates,
            "membership": self.membership.to_json(),
            "failures": list(self.failures),
            "sentence": self.sentence(),
        }


def discriminator_attack(
    judge: Judge,
    train: ImageSet,
    held_out: ImageSet,
    rng: np.random.Generator,
    *,
    most_auc: float,
    lowest_z: float,
    gates: bool,
) -> DiscriminatorAttack:
    """Membership inference by the discriminator's score.

    Args:
        judge: the run's discriminator.
        train: training photographs; those that the run did not see are left out.
        held_out: photographs that it did not see.
        rng: of the bootstrap and of the control.
        most_auc: see `membership_failures`.
        lowest_z: likewise.
        gates: whether the gate counts it.

    Returns:
        The attack's success.

    Raises:
        InputError: the run saw fewer than eight photographs of `train`.
    """
    seen = {image.sha256 for image in judge.trained_on}
    members = train.replace_records([record for record in train if record.sha256 in seen])
    if len(members) < _FEWEST:
        raise InputError(
            f"the run {judge.run} learned from {len(members)} photographs of `train`; its "
            f"discriminator can be asked about {_FEWEST} or more"
        )
    scores = []
    for images in (members, held_out):
        parts = load_pixels(images, judge.size).split(_AT_ONCE)
        scores.append(torch.cat([judge.score(part) for part in parts]).double().cpu().numpy())
    if not all(np.isfinite(values).all() for values in scores):
        raise InputError(f"the discriminator of {judge.run} gives scores that are not numbers")
    found = membership(-scores[0], -scores[1], rng)
    failures = membership_failures(found, most_auc, lowest_z)
    return DiscriminatorAttack(judge.run, judge.step, judge.size, found, gates, failures)
