"""What an audit found: by feature space, by pair, and the verdict in a sentence."""

from dataclasses import dataclass
from typing import Any, Literal

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.copying import Nearness
from hzsynth.audit.discriminator_attack import DiscriminatorAttack
from hzsynth.audit.distances import Distances
from hzsynth.audit.leaning import LeaningTest
from hzsynth.audit.membership import Membership

Verdict = Literal["passes", "unsure", "fails"]

DROPPED_BY, BY_TRAINING_PHOTOGRAPHS = "dropped_by", "training photographs"
"""Where an audit's file says which photographs chose the images to drop."""


@dataclass(frozen=True)
class SpaceAudit:
    """What one space shows.

    Attributes:
        space: its name.
        nearness: distances to the training photographs.
        membership: who was in the training set.
        leaning: whose photographs explain the images.
        failures: sentences why the gate fails; empty when it passes.
    """

    space: str
    nearness: Nearness
    membership: Membership
    leaning: LeaningTest
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """A generated image with its nearest photographs, by index.

    Attributes:
        fake: in the generated set.
        train: nearest training photograph.
        held_out: nearest held-out photograph.
        closeness: distance to train over the threshold of its space; below 1 is near.
    """

    fake: int
    train: int
    held_out: int
    closeness: float


@dataclass(frozen=True)
class AuditResult:
    """The audit of a generated set.

    Attributes:
        passed: whether the gate passes.
        spaces: what each space shows.
        perceptual_copies: generated images whose perceptual hash is that of a training photograph.
        dropped: sha256 of images that should not be used: perceptual copies, and those that lean on a
            patient in pixels or in both feature spaces more than photographs do; held-out
            photographs have no say in it.
        passes_without_dropped: whether the gate passes without them (None: it passes with them, none are
            dropped, or too few are left).
        found_from: the smallest share of planted copies that nine of ten such audits of what is left find;
            None where not even copies alone would be found, or where the gate fails for good.
        pairs: the closest pairs, nearest first.
        counts: fake, train and held-out images.
        digests: of the same three sets, as they were audited.
        discriminator: membership by the discriminator's score; None without a run.
        remarks: what the sets' lineage leaves open.
        config: the settings.
        distances: for the figures.
    """

    passed: bool
    spaces: tuple[SpaceAudit, ...]
    perceptual_copies: int
    dropped: tuple[str, ...]
    passes_without_dropped: bool | None
    found_from: float | None
    pairs: tuple[Pair, ...]
    counts: dict[str, int]
    digests: dict[str, str]
    discriminator: DiscriminatorAttack | None
    remarks: tuple[str, ...]
    config: AuditConfig
    distances: tuple[Distances, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the gate fails."""
        copies = self.perceptual_copies
        first = (f"{copies} images are perceptual copies of training photographs",)
        found = [f"{a.space}: {sentence}" for a in self.spaces for sentence in a.failures]
        if self.discriminator is not None and self.discriminator.gates:
            found += [f"discriminator: {sentence}" for sentence in self.discriminator.failures]
        return (*(first if copies else ()), *found)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What this audit could not have seen: with any, a gate that passes is amber and not green."""
        found = list(self.remarks)
        least = self.config.least_found
        accepted = self.passed or self.passes_without_dropped
        if accepted and (self.found_from is None or self.found_from > least):
            found.append(f"{self._power()}, and it should find {least:.0%}")
        for audit in self.spaces:
            attack = audit.membership
            if attack.control_fails:
                found.append(
                    f"in {audit.space} the attack tells two parts of the held-out photographs apart (AUC "
                    f"{attack.control:.2f}), though nobody is a member there"
                )
        return tuple(found)

    @property
    def verdict(self) -> Verdict:
        """``fails``, ``unsure`` (it passes with doubts) or ``passes``."""
        if not self.passed:
            return "fails"
        return "unsure" if self.doubts else "passes"

    def _power(self) -> str:
        if self.found_from is None:
            return "at this number of photographs not even copies alone would be found"
        return f"copies would be found from {self.found_from:.0%} of the images on"

    def sentence(self) -> str:
        """The verdict in one sentence."""
        n = self.counts
        patients = n["held_out_patients"]
        of_patients = f" of {patients} patients" if patients < n["held_out"] else ""
        where = (
            f"{n['fake']} generated images, {n['train']} training and {n['held_out']} held-out "
            f"photographs{of_patients}"
        )
        if self.verdict == "passes":
            return (
                f"The gate passes: no sign of copying or membership was found with {where} "
                f"({self._power()}). That is no proof of privacy."
            )
        if self.verdict == "unsure":
            return (
                f"The gate passes and cannot be sure: no sign of copying or membership was found with "
                f"{where}, but {'; '.join(self.doubts)}. That is no proof of privacy."
            )
        return f"The gate fails ({where}): {'; '.join(self.failures)}.{self._rest()}"

    def _rest(self) -> str:
        """What is left without the listed images."""
        listed = len(self.dropped)
        if self.passes_without_dropped is None:
            return ""
        if self.passes_without_dropped:
            return f" Without the {listed} listed images it passes."
        if listed > self.config.most_dropped * self.counts["fake"]:
            return (
                f" {listed} images are listed, more than {self.config.most_dropped:.0%}: it is the "
                "generator that leaks, and leaving them out mends nothing."
            )
        return f" Without the {listed} listed images it still fails."

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "passed": self.passed,
            "verdict": self.verdict,
            "sentence": self.sentence(),
            "doubts": list(self.doubts),
            "found_from": self.found_from,
            "failures": list(self.failures),
            "counts": self.counts,
            "digests": self.digests,
            "perceptual_copies": self.perceptual_copies,
            "dropped": list(self.dropped),
            DROPPED_BY: BY_TRAINING_PHOTOGRAPHS,
            "passes_without_dropped": self.passes_without_dropped,
            "spaces": {
                audit.space: {
                    **audit.nearness.to_json(),
                    "membership": audit.membership.to_json(),
                    "leaning": audit.leaning.to_json(),
                    "failures": list(audit.failures),
                }
                for audit in self.spaces
            },
            "discriminator": None if self.discriminator is None else self.discriminator.to_json(),
            "remarks": list(self.remarks),
            "config": self.config.model_dump(mode="json"),
        }
