"""What an audit found: by feature space, by pair, and the verdict in a sentence."""

from dataclasses import dataclass
from typing import Any

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.copying import Nearness
from hzsynth.audit.discriminator_attack import DiscriminatorAttack
from hzsynth.audit.distances import Distances
from hzsynth.audit.membership import Membership


@dataclass(frozen=True)
class SpaceAudit:
    """What one space shows.

    Attributes:
        space: its name.
        nearness: distances to the training photographs.
        membership: who was in the training set.
        failures: sentences why the gate fails; empty when it passes.
    """

    space: str
    nearness: Nearness
    membership: Membership
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
        dropped: sha256 of images that should not be used: perceptual copies, near in pixels, or
            near in both feature spaces.
        passes_without_dropped: whether the gate passes without them (None: none are dropped,
            or too few are left).
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

    def sentence(self) -> str:
        """The verdict in one sentence."""
        n = self.counts
        where = (
            f"{n['fake']} generated images, {n['train']} training and {n['held_out']} held-out "
            "photographs"
        )
        if self.passed:
            least = max(audit.nearness.noticeable for audit in self.spaces)
            reach = (
                f"copying would have been noticed from {least:.0%} of the images on"
                if least <= 1
                else "too few to notice even a set of copies by the share of near images"
            )
            return (
                f"The gate passes: no sign of copying or membership was found with {where} "
                f"({reach}). That is no proof of privacy."
            )
        rest = {
            True: f" Without the {len(self.dropped)} listed images it passes.",
            False: f" Without the {len(self.dropped)} listed images it still fails.",
            None: "",
        }[self.passes_without_dropped]
        return f"The gate fails ({where}): {'; '.join(self.failures)}.{rest}"

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "passed": self.passed,
            "verdict": self.sentence(),
            "failures": list(self.failures),
            "counts": self.counts,
            "digests": self.digests,
            "perceptual_copies": self.perceptual_copies,
            "dropped": list(self.dropped),
            "passes_without_dropped": self.passes_without_dropped,
            "spaces": {
                audit.space: {
                    **audit.nearness.to_json(),
                    "membership": audit.membership.to_json(),
                    "failures": list(audit.failures),
                }
                for audit in self.spaces
            },
            "discriminator": None if self.discriminator is None else self.discriminator.to_json(),
            "remarks": list(self.remarks),
            "config": self.config.model_dump(mode="json"),
        }
