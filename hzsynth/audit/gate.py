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
from numpy.typing import NDArray

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.discriminator_attack import DiscriminatorAttack, Judge, discriminator_attack
from hzsynth.audit.distances import Distances, measure_distances
from hzsynth.audit.feature_spaces import FeatureSpace, default_feature_spaces
from hzsynth.audit.power import smallest_share_found
from hzsynth.audit.result import AuditResult, Pair, SpaceAudit
from hzsynth.audit.space_tests import audit_space, nearness_in
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.phash import NEAR_DUPLICATE, nearest_hash
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.seeding import numpy_generator
from hzsynth.data.independence import halves, independent_units, one_of_each
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
    units = independent_units(held_out)
    attacked, independent = _asked_for(fake, train, units, config.seed)
    distances = _distances(
        sets,
        config,
        spaces or default_feature_spaces(compute),
        attacked=attacked,
        independent=independent,
        progress=progress,
    )
    control = _control(held_out, units, config.seed)
    audits = tuple(audit_space(d, config, control) for d in distances)
    asked = train.replace_records(_rows(train, attacked))
    attack = _attack(judge, asked, held_out.replace_records(_rows(held_out, independent)), config)
    copies = _perceptual_copies(fake, train)
    choosing = torch.from_numpy(halves(units, config.seed, "audit", "drop"))
    dropped = copies | _near([d.against(choosing) for d in distances], config)
    told = attack is not None and attack.gates and bool(attack.failures)
    passed = not copies.any() and not told and not any(audit.failures for audit in audits)
    without = (
        None if passed else _passes_without(distances, dropped, ~choosing, config) and not told
    )
    return AuditResult(
        passed=passed,
        spaces=audits,
        perceptual_copies=int(copies.sum()),
        dropped=tuple(r.sha256 for r in _rows(fake, dropped)),
        passes_without_dropped=without,
        found_from=smallest_share_found(distances, config),
        pairs=_closest(distances, audits, config.pairs),
        counts={name: len(images) for name, images in sets.items()}
        | {"held_out_patients": int(independent.sum())},
        digests={name: images.digest for name, images in sets.items()},
        discriminator=attack,
        remarks=tuple(remarks),
        config=config,
        distances=distances,
    )


def _rows(images: ImageSet, chosen: torch.Tensor) -> list[ImageRecord]:
    return [record for record, kept in zip(images, chosen.tolist(), strict=True) if kept]


def _asked_for(
    fake: ImageSet, train: ImageSet, units: NDArray[np.int64], seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Members and held-out photographs that are tested, bool N and bool K: one a patient.

    Photographs of one patient, or copies of one, are alike: to count them as several would make chance
    look like a finding.
    """
    own = np.array([record.label in fake.labels for record in train])
    attacked = np.zeros(len(train), dtype=bool)
    rows = np.flatnonzero(own)
    own_units = independent_units(train.replace_records([train.records[row] for row in rows]))
    attacked[rows[one_of_each(own_units, seed, "members")]] = True
    independent = np.zeros(len(units), dtype=bool)
    independent[one_of_each(units, seed, "held-out")] = True
    for name, chosen in (("train", attacked), ("held_out", independent)):
        if chosen.sum() < _FEWEST:
            raise InputError(
                f"`{name}` shows {chosen.sum()} patients of {', '.join(fake.labels)} (copies of one "
                f"photograph count once); an audit needs {_FEWEST} or more"
            )
    return torch.from_numpy(attacked), torch.from_numpy(independent)


def _control(held_out: ImageSet, units: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Who stands for members in the control: val where there is val and test, else a random half."""
    val = np.array([record.split == "val" for record in held_out])
    if min(len(set(units[val])), len(set(units[~val]))) >= _FEWEST // 2:
        return val
    return halves(units, seed, "audit", "control")


def _passes_without(
    distances: Sequence[Distances],
    dropped: torch.Tensor,
    testing: torch.Tensor,
    config: AuditConfig,
) -> bool | None:
    """Whether the gate passes without the dropped images, by photographs that did not choose them.

    None where nothing is dropped or too few are left. A set of which many images are dropped does
    not pass: what hides below the threshold is of the same generator.
    """
    left = int((~dropped).sum())
    if not dropped.any() or left < _FEWEST:
        return None
    if len(dropped) - left > config.most_dropped * len(dropped):
        return False
    return not any(
        audit_space(d.without(dropped).against(testing), config).failures for d in distances
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
    attacked: torch.Tensor,
    independent: torch.Tensor,
    progress: Progress,
) -> tuple[Distances, ...]:
    """The distances in each space, at a side at which all three sets can be shown."""
    size = config.size or _common_size(tuple(sets.values()))
    pixels = [load_pixels(images, size) for images in sets.values()]
    patients = [record.patient for record in sets["train"]]
    same = torch.tensor([[a == b for b in patients] for a in patients])
    return tuple(
        measure_distances(
            space,
            *pixels,
            same_patient=same,
            attacked=attacked,
            independent=independent,
            progress=progress,
        )
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


def _near(distances: Sequence[Distances], config: AuditConfig) -> torch.Tensor:
    """Which generated images are near in the pixels, or near in all networks: bool M."""
    near = torch.stack(
        [d.to_train.min(dim=1).values < nearness_in(d, config).threshold for d in distances]
    )
    # The last space is that of the pixels; a network alone also calls a mere look-alike near.
    return near[-1] | (near[:-1].all(dim=0) if len(near) > 1 else near[0])


def _perceptual_copies(fake: ImageSet, train: ImageSet) -> torch.Tensor:
    distances, _ = nearest_hash([r.phash for r in fake], [r.phash for r in train])
    return torch.from_numpy(distances <= NEAR_DUPLICATE)


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
