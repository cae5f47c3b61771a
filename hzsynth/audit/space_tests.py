"""What is tested in one space: nearness to members, and who was a member."""

import numpy as np
from numpy.typing import NDArray

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.copying import Nearness, nearness
from hzsynth.audit.distances import Distances
from hzsynth.audit.leaning import LeaningTest, leaning_test
from hzsynth.audit.membership import membership, membership_failures
from hzsynth.audit.result import SpaceAudit
from hzsynth.core.seeding import numpy_generator

Floats = NDArray[np.float64]


def audit_space(distances: Distances, config: AuditConfig) -> SpaceAudit:
    """Copying and membership in one space.

    Args:
        distances: between the three sets.
        config: the settings.

    Returns:
        What the space shows, and why the gate fails there.
    """
    near = nearness_in(distances, config)
    attack = membership(
        *attack_figures(distances),
        numpy_generator(config.seed, "audit", distances.space),
        first=distances.roles.control[distances.roles.independent].numpy(),
        classes=attack_classes(distances),
    )
    leaning = leaning_test(distances.leanings, distances.roles)
    failures = (
        *nearness_failures(near, config),
        *leaning_failures(leaning, config),
        *membership_failures(attack, config.most_auc, config.lowest_c_t),
    )
    return SpaceAudit(distances.space, near, attack, leaning, failures)


def nearness_in(distances: Distances, config: AuditConfig) -> Nearness:
    """How near the generated images of one space are."""
    nearest = distances.to_train.min(dim=1)
    return nearness(
        nearest.values.double().numpy(),
        distances.held_out[distances.roles.independent].double().numpy(),
        distances.train.double().numpy(),
        nearest.indices.numpy(),
        config.quantile,
        config.level,
        fake_cells=distances.fake_cells.numpy(),
        held_out_cells=distances.held_out_cells[distances.roles.independent].numpy(),
        classes=(distances.fake_classes.numpy(), attack_classes(distances)[1]),
    )


def nearness_failures(near: Nearness, config: AuditConfig) -> tuple[str, ...]:
    """Why the gate fails for nearness; empty where it passes."""
    failures = []
    if near.share > config.most_near * config.quantile and near.p_near < config.level:
        failures.append(
            f"{near.share:.0%} of the images are nearer to a training photograph than "
            f"{config.quantile:.0%} of the held-out ones are (p = {near.p_near:.1g})"
        )
    if near.z_c_t < config.lowest_c_t:
        failures.append(f"C_T is {near.c_t:.1f}")
    return tuple(failures)


def leaning_failures(leaning: LeaningTest, config: AuditConfig) -> tuple[str, ...]:
    """Why the gate fails for leaning; empty where it passes."""
    if leaning.share <= config.most_leaning or leaning.p >= config.level:
        return ()
    return (
        f"the images lean on training patients: {leaning.share:.0%} of the leaning, where half is chance "
        f"(p = {leaning.p:.1g})",
    )


def attack_figures(distances: Distances) -> tuple[Floats, Floats]:
    """Distances to the nearest generated image of their class, of members that are asked for and of held-out ones."""
    roles = distances.roles
    found = []
    for values, classes in (
        (distances.to_train[:, roles.attacked], roles.train_classes[roles.attacked]),
        (distances.to_held_out[:, roles.independent], roles.held_out_classes[roles.independent]),
    ):
        own = distances.fake_classes[:, None] == classes
        found.append(values.masked_fill(~own, float("inf")).min(dim=0).values.double().numpy())
    return found[0], found[1]


def attack_classes(distances: Distances) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes of the same photographs."""
    roles = distances.roles
    members = roles.train_classes[roles.attacked]
    return members.numpy(), roles.held_out_classes[roles.independent].numpy()
