"""The stage `audit`: may these generated images leave? Copying and membership, with a gate.

The gate is a rule, not a proof: it fails where generated images are nearer to the training
photographs than new photographs are, or where they tell who was in the training set. That it
passes says that these attacks found nothing at this number of photographs.

The whole gate (three spaces, three tests each) fails by chance for some 3 % of faultless sets of 150
images with 30 training and 30 held-out photographs (`benchmarks/audit_planted.py`), fewer with
more photographs; so its tests are not corrected for their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field

from hzsynth.audit.copying import Membership, Nearness, membership, nearness
from hzsynth.audit.discriminator_attack import (
    DiscriminatorAttack,
    Judge,
    discriminator_attack,
    membership_failures,
)
from hzsynth.audit.spaces import Distances, Space, default_spaces, measure_distances
from hzsynth.core.config import Config
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.phash import NEAR_DUPLICATE, nearest_hash
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.seeding import numpy_generator
from hzsynth.data.loading import load_pixels

_LARGEST_SIDE = 128
_FEWEST = 8


class AuditConfig(Config):
    """Settings of `audit_images`."""

    quantile: float = Field(
        0.05, gt=0, lt=0.5, description="quantile of the held-out distances that counts as near"
    )
    most_near: float = Field(
        3.0, ge=1, description="the gate fails above this many times the quantile's share"
    )
    level: float = Field(0.01, gt=0, lt=0.5, description="level of the tests")
    lowest_c_t: float = Field(-3.0, lt=0, description="the gate fails below this C_T (z)")
    most_auc: float = Field(
        0.6, gt=0.5, lt=1, description="the gate fails when membership's AUC is surely above this"
    )
    size: int = Field(
        0, ge=0, le=512, description="side at which pictures are compared; 0: that of the smaller"
    )
    label: str | None = Field(None, description="only this class; by default all")
    gate_discriminator: bool = Field(
        False, description="count membership by the discriminator's score in the gate"
    )
    pairs: int = Field(24, ge=1, description="closest pairs on the contact sheet")
    seed: int = Field(0, ge=0, description="of the bootstrap and of the control")


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


def audit_images(
    fake: ImageSet,
    train: ImageSet,
    held_out: ImageSet,
    config: AuditConfig,
    *,
    compute: Compute,
    spaces: Sequence[Space] | None = None,
    judge: Judge | None = None,
    remarks: Sequence[str] = (),
    progress: Progress = SILENT,
) -> AuditResult:
    """Audits a generated set.

    Args:
        fake: the generated images.
        train: the photographs that their generator learned from.
        held_out: photographs of the same kind that it did not see, of other patients.
        config: the settings.
        compute: where to compute features.
        spaces: ways to compare; by default two networks and the pixels.
        judge: the discriminator of the generator's run, if it may be asked.
        remarks: what the sets' lineage leaves open, for the report.
        progress: where progress is shown.

    Returns:
        The result.

    Raises:
        InputError: a set is too small or holds what it must not.
    """
    _check(fake, train, held_out)
    sets = {"fake": fake, "train": train, "held_out": held_out}
    size = config.size or _common_size((fake, train, held_out))
    pixels = [load_pixels(images, size) for images in sets.values()]
    groups = [record.group for record in train]
    same = torch.tensor([[bool(a) and a == b for b in groups] for a in groups])
    distances = tuple(
        measure_distances(space, *pixels, same_patient=same, progress=progress)
        for space in (spaces or default_spaces(compute))
    )
    audits = tuple(audit_space(d, config) for d in distances)
    attack: DiscriminatorAttack | None = None
    if judge is not None:
        rng = numpy_generator(config.seed, "audit", "discriminator")
        attack = discriminator_attack(
            judge,
            train,
            held_out,
            rng,
            most_auc=config.most_auc,
            lowest_z=config.lowest_c_t,
            gates=config.gate_discriminator,
        )
    told = attack is not None and attack.gates and bool(attack.failures)
    copies = _perceptual_copies(fake, train)
    near = torch.stack(
        [
            d.to_train.min(dim=1).values < a.nearness.threshold
            for d, a in zip(distances, audits, strict=True)
        ]
    )
    # The last space is that of the pixels; a network alone also calls a mere look-alike near.
    dropped = copies | near[-1] | (near[:-1].all(dim=0) if len(near) > 1 else near[0])
    passed = not copies.any() and not told and not any(audit.failures for audit in audits)
    without: bool | None = None
    if not passed and dropped.any() and int((~dropped).sum()) >= _FEWEST:
        left = [audit_space(d.without(dropped), config) for d in distances]
        without = not told and not any(audit.failures for audit in left)
    return AuditResult(
        passed=passed,
        spaces=audits,
        perceptual_copies=int(copies.sum()),
        dropped=tuple(r.sha256 for r, gone in zip(fake, dropped.tolist(), strict=True) if gone),
        passes_without_dropped=without,
        pairs=_closest(distances, audits, config.pairs),
        counts={name: len(images) for name, images in sets.items()},
        digests={name: images.digest for name, images in sets.items()},
        discriminator=attack,
        remarks=tuple(remarks),
        config=config,
        distances=distances,
    )


def _check(fake: ImageSet, train: ImageSet, held_out: ImageSet) -> None:
    for name, images in (("FAKE", fake), ("--train", train), ("--holdout", held_out)):
        if len(images) < _FEWEST:
            raise InputError(f"{name} holds {len(images)} images; an audit needs {_FEWEST} or more")
    for name, images in (("--train", train), ("--holdout", held_out)):
        made = next((record for record in images if not record.is_real), None)
        if made is not None:
            raise InputError(
                f"{name} holds photographs only, but '{made.file_name}' is {made.origin}"
            )
    seen = {record.sha256 for record in train}
    both = next((record for record in held_out if record.sha256 in seen), None)
    if both is not None:
        raise InputError(f"'{both.file_name}' is in --train and in --holdout")
    patients = {record.group for record in train if record.group}
    shared = next((record for record in held_out if record.group in patients), None)
    if shared is not None:
        raise InputError(
            f"patient '{shared.group}' is in --train and in --holdout: their photographs are no "
            "new ones"
        )


def _common_size(sets: Sequence[ImageSet]) -> int:
    sides = [np.median([min(r.width, r.height) for r in images]) for images in sets]
    return int(max(16, min(*sides, _LARGEST_SIDE)))


def _perceptual_copies(fake: ImageSet, train: ImageSet) -> torch.Tensor:
    distances, _ = nearest_hash([r.phash for r in fake], [r.phash for r in train])
    return torch.from_numpy(distances <= NEAR_DUPLICATE)


def audit_space(distances: Distances, config: AuditConfig) -> SpaceAudit:
    """Copying and membership in one space.

    Args:
        distances: between the three sets.
        config: the settings.

    Returns:
        What the space shows, and why the gate fails there.
    """
    nearest = distances.to_train.min(dim=1)
    near = nearness(
        nearest.values.double().numpy(),
        distances.held_out.double().numpy(),
        distances.train.double().numpy(),
        nearest.indices.numpy(),
        config.quantile,
        config.level,
    )
    attack = membership(
        distances.to_train.min(dim=0).values.double().numpy(),
        distances.to_held_out.min(dim=0).values.double().numpy(),
        numpy_generator(config.seed, "audit", distances.space),
    )
    failures = []
    if near.share > config.most_near * config.quantile and near.p_near < config.level:
        failures.append(
            f"{near.share:.0%} of the images are nearer to a training photograph than "
            f"{config.quantile:.0%} of the held-out ones are (p = {near.p_near:.1g})"
        )
    if near.c_t < config.lowest_c_t:
        failures.append(f"C_T is {near.c_t:.1f}")
    failures += membership_failures(attack, config.most_auc, config.lowest_c_t)
    return SpaceAudit(distances.space, near, attack, tuple(failures))


def _closest(
    distances: Sequence[Distances], audits: Sequence[SpaceAudit], count: int
) -> tuple[Pair, ...]:
    """The generated images that are nearest in any space, relative to its threshold."""
    relative = torch.stack(
        [
            d.to_train.min(dim=1).values / max(a.nearness.threshold, 1e-12)
            for d, a in zip(distances, audits, strict=True)
        ]
    )
    closeness, space = relative.min(dim=0)
    order = torch.argsort(closeness, stable=True)[:count].tolist()
    return tuple(
        Pair(
            fake=i,
            train=int(distances[int(space[i])].to_train[i].argmin()),
            held_out=int(distances[int(space[i])].to_held_out[i].argmin()),
            closeness=float(closeness[i]),
        )
        for i in order
    )
