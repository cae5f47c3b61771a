"""The stage `audit`: may these generated images leave? Copying and membership, with a gate.

The gate is a rule, not a proof: it fails where generated images are nearer to the training
photographs than new photographs are, or where they tell who was in the training set. That it
passes says that these attacks found nothing at this number of photographs.

Four tests in each of three spaces, each at a level of .005 or less: by chance one fails for at most
4 % of faultless sets (`benchmarks/audit_scenes.py`), so the tests are not corrected for their number.
"""

from collections.abc import Sequence

import numpy as np
import torch

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.copying import Nearness
from hzsynth.audit.discriminator_attack import DiscriminatorAttack, Judge, discriminator_attack
from hzsynth.audit.distances import Distances, measure_distances
from hzsynth.audit.feature_spaces import FeatureSpace, default_feature_spaces
from hzsynth.audit.power import smallest_share_found
from hzsynth.audit.result import AuditResult, Pair, SpaceAudit
from hzsynth.audit.roles import Roles, find_roles
from hzsynth.audit.space_tests import audit_space
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.phash import NEAR_DUPLICATE, nearest_hash
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.seeding import numpy_generator
from hzsynth.data.loading import load_pixels

_LARGEST_SIDE = 128
_FEWEST, _FEWEST_HELD_OUT = 8, 2


def audit_images(
    fake: ImageSet,
    train: ImageSet,
    held_out: ImageSet,
    config: AuditConfig,
    *,
    compute: Compute,
    spaces: Sequence[FeatureSpace] | None = None,
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
    roles = find_roles(fake, train, held_out, config.seed)
    distances = _distances(
        sets, config, spaces or default_feature_spaces(compute), roles=roles, progress=progress
    )
    audits = tuple(audit_space(d, config) for d in distances)
    asked = train.replace_records(_rows(train, roles.attacked))
    unseen = held_out.replace_records(_rows(held_out, roles.independent))
    attack = _attack(judge, asked, unseen, config)
    copies = _perceptual_copies(fake, train, distances[-1])
    dropped = copies | _leaning(distances)
    told = attack is not None and attack.gates and bool(attack.failures)
    passed = not copies.any() and not told and not any(audit.failures for audit in audits)
    without = None if passed else _passes_without(distances, dropped, config) and not told
    return AuditResult(
        passed=passed,
        spaces=audits,
        perceptual_copies=int(copies.sum()),
        dropped=tuple(r.sha256 for r in _rows(fake, dropped)),
        passes_without_dropped=without,
        found_from=_found_from(distances, dropped, passed or without, config),
        pairs=_closest(distances, audits, config.pairs),
        counts={name: len(images) for name, images in sets.items()}
        | {"held_out_patients": int(roles.independent.sum())},
        digests={name: images.digest for name, images in sets.items()},
        discriminator=attack,
        remarks=tuple(remarks),
        config=config,
        distances=distances,
    )


def _rows(images: ImageSet, chosen: torch.Tensor) -> list[ImageRecord]:
    return [record for record, kept in zip(images, chosen.tolist(), strict=True) if kept]


def _passes_without(
    distances: Sequence[Distances], dropped: torch.Tensor, config: AuditConfig
) -> bool | None:
    """Whether the gate passes without the dropped images; training photographs alone chose them.

    None where nothing is dropped or too few are left. A set of which many images are dropped does
    not pass: what hides below the threshold is of the same generator.
    """
    left = int((~dropped).sum())
    if not dropped.any() or left < _FEWEST:
        return None
    if len(dropped) - left > config.most_dropped * len(dropped):
        return False
    return not any(audit_space(d.without(dropped), config).failures for d in distances)


def _found_from(
    distances: Sequence[Distances], dropped: torch.Tensor, passed: bool | None, config: AuditConfig
) -> float | None:
    """The power of the test that the released images passed; None where there was none."""
    if not passed:
        return None
    return smallest_share_found([d.without(dropped) for d in distances], config)


def _check(fake: ImageSet, train: ImageSet, held_out: ImageSet) -> None:
    for name, images in (("fake", fake), ("train", train), ("held_out", held_out)):
        least = _FEWEST_HELD_OUT if name == "held_out" else _FEWEST
        if len(images) < least:
            raise InputError(f"`{name}` holds {len(images)} images; an audit needs {least} or more")
    for name, images in (("train", train), ("held_out", held_out)):
        made = next((record for record in images if not record.is_real), None)
        if made is not None:
            raise InputError(
                f"`{name}` must hold photographs only, but '{made.file_name}' is {made.origin}"
            )
    seen = {record.sha256 for record in train}
    both = next((record for record in held_out if record.sha256 in seen), None)
    if both is not None:
        raise InputError(f"'{both.file_name}' is in `train` and in `held_out`")
    patients = {record.group for record in train if record.group}
    shared = next((record for record in held_out if record.group in patients), None)
    if shared is not None:
        raise InputError(
            f"patient '{shared.group}' is in `train` and in `held_out`, but held-out photographs "
            "must show other patients than those that the generator learned from"
        )


def _distances(
    sets: dict[str, ImageSet],
    config: AuditConfig,
    spaces: Sequence[FeatureSpace],
    *,
    roles: Roles,
    progress: Progress,
) -> tuple[Distances, ...]:
    """The distances in each space, at a side at which all three sets can be shown."""
    size = config.size or _common_size(tuple(sets.values()))
    pixels = [load_pixels(images, size) for images in sets.values()]
    classes = torch.tensor([roles.labels.index(record.label) for record in sets["fake"]])
    return tuple(
        measure_distances(space, *pixels, roles=roles, fake_classes=classes, progress=progress)
        for space in spaces
    )


def _common_size(sets: Sequence[ImageSet]) -> int:
    sides = [np.median([min(r.width, r.height) for r in images]) for images in sets]
    return int(max(16, min(*sides, _LARGEST_SIDE)))


def _attack(
    judge: Judge | None, train: ImageSet, held_out: ImageSet, config: AuditConfig
) -> DiscriminatorAttack | None:
    if judge is None:
        return None
    return discriminator_attack(
        judge,
        train,
        held_out,
        numpy_generator(config.seed, "audit", "discriminator"),
        most_auc=config.most_auc,
        lowest_z=config.lowest_c_t,
        gates=config.gate_discriminator,
    )


def _leaning(distances: Sequence[Distances]) -> torch.Tensor:
    """Which generated images lean on a patient in the pixels, or in all networks: bool M."""
    high = torch.stack([d.leanings.high for d in distances])
    # The last space is that of the pixels; a network alone also takes a mere look-alike for a copy.
    return high[-1] | (high[:-1].all(dim=0) if len(high) > 1 else high[0])


def _perceptual_copies(fake: ImageSet, train: ImageSet, pixels: Distances) -> torch.Tensor:
    """Images with the hash of a photograph, and nearer to one than photographs are to each other.

    A hash alone also takes two plain pictures of skin for one.
    """
    found, _ = nearest_hash([r.phash for r in fake], [r.phash for r in train])
    near = pixels.to_train.min(dim=1).values < pixels.train.min()
    return torch.from_numpy(found <= NEAR_DUPLICATE) & near


def _thresholds(distances: Distances, near: Nearness) -> torch.Tensor:
    """Float M: the distance below which each image counts as near."""
    return torch.tensor([near.thresholds[number] for number in distances.fake_classes.tolist()])


def _closest(
    distances: Sequence[Distances], audits: Sequence[SpaceAudit], count: int
) -> tuple[Pair, ...]:
    """The generated images that are nearest in any space, relative to its threshold."""
    relative = torch.stack(
        [
            d.to_train.min(dim=1).values / _thresholds(d, a.nearness).clamp(min=1e-12)
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
