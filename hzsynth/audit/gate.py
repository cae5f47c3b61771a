"""The stage `audit`: may these generated images leave? Copying and membership, with a gate.

The gate is a rule, not a proof: it fails where generated images are nearer to the training
photographs than new photographs are, or where they tell who was in the training set. That it
passes says that these attacks found nothing at this number of photographs.

The whole gate (three spaces, three tests each) fails by chance for some 3 % of faultless sets of 150
images with 30 training and 30 held-out photographs (`benchmarks/audit_planted.py`), fewer with
more photographs; so its tests are not corrected for their number.
"""

from collections.abc import Sequence

import numpy as np
import torch

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.copying import nearness
from hzsynth.audit.discriminator_attack import DiscriminatorAttack, Judge, discriminator_attack
from hzsynth.audit.distances import Distances, measure_distances
from hzsynth.audit.feature_spaces import FeatureSpace, default_feature_spaces
from hzsynth.audit.membership import membership, membership_failures
from hzsynth.audit.result import AuditResult, Pair, SpaceAudit
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.phash import NEAR_DUPLICATE, nearest_hash
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.seeding import numpy_generator
from hzsynth.data.loading import load_pixels

_LARGEST_SIDE = 128
_FEWEST = 8


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
    distances = _distances(
        sets, config, spaces or default_feature_spaces(compute), progress=progress
    )
    audits = tuple(audit_space(d, config) for d in distances)
    attack = _attack(judge, train, held_out, config)
    told = attack is not None and attack.gates and bool(attack.failures)
    copies = _perceptual_copies(fake, train)
    dropped = copies | _near(distances, audits)
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
    for name, images in (("fake", fake), ("train", train), ("held_out", held_out)):
        if len(images) < _FEWEST:
            raise InputError(
                f"`{name}` holds {len(images)} images; an audit needs {_FEWEST} or more"
            )
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
    progress: Progress,
) -> tuple[Distances, ...]:
    """The distances in each space, at a side at which all three sets can be shown."""
    size = config.size or _common_size(tuple(sets.values()))
    pixels = [load_pixels(images, size) for images in sets.values()]
    patients = [record.patient for record in sets["train"]]
    same = torch.tensor([[a == b for b in patients] for a in patients])
    return tuple(
        measure_distances(space, *pixels, same_patient=same, progress=progress) for space in spaces
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


def _near(distances: Sequence[Distances], audits: Sequence[SpaceAudit]) -> torch.Tensor:
    """Which generated images are near in the pixels, or near in all networks: bool M."""
    near = torch.stack(
        [
            d.to_train.min(dim=1).values < a.nearness.threshold
            for d, a in zip(distances, audits, strict=True)
        ]
    )
    # The last space is that of the pixels; a network alone also calls a mere look-alike near.
    return near[-1] | (near[:-1].all(dim=0) if len(near) > 1 else near[0])


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
