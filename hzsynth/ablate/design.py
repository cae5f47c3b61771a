"""The design of an ablation: its arms, its cells (arm x seed) and what it can find at all.

The protocol follows Ktena et al. 2024 (Nature Medicine 30): the same steps and batch in
every arm, several replicates, the photographs alone as controls: seen once, and as often as the filled
class of every other arm (ratio 0).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from hzsynth.ablate.config import AblateConfig
from hzsynth.augment.config import Arm
from hzsynth.augment.mixture import ClassPlan, plan_target
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_lineage
from hzsynth.statistics.metric_intervals import FEWEST_PATIENTS
from hzsynth.statistics.power import ASSUMED, Spreads, contrast_power, findable_gain

AUGMENTED = "augmented"
_POWER_PATIENTS = (15, 30, 60, 120, 240)
_POWER_GAINS = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class AblationArm:
    """One way to make the training set.

    Attributes:
        name: unique in the ablation, fit for a file name.
        kind: the arm of `build_dataset`.
        generator: name of the synthetic set; empty for controls and ratio 0.
        ratio: synthetic images per real one.
    """

    name: str
    kind: Arm
    generator: str = ""
    ratio: float = 0.0

    @classmethod
    def of_name(cls, name: str, generator: str = "", ratio: float = 0.0) -> "AblationArm":
        """An arm as a table of cells names it."""
        controls: dict[str, Arm] = {"real": "real"}
        return cls(name, controls.get(name, "mixture"), generator, ratio)

    @property
    def title(self) -> str:
        """For people, such as ``stylegan2 2:1``."""
        return f"{self.generator} {self.ratio:g}:1" if self.generator else self.name


@dataclass(frozen=True)
class Cell:
    """One arm with one seed: one training set, one classifier.

    Attributes:
        arm: how the training set is made.
        seed: number of the run, from 0; equal numbers share their randomness over the arms.
    """

    arm: AblationArm
    seed: int

    @property
    def name(self) -> str:
        """Unique in the ablation, fit for a file name."""
        return f"{self.arm.name}-seed{self.seed}"


def chosen_generators(
    config: AblateConfig, synthetic: Mapping[str, ImageSet]
) -> dict[str, ImageSet]:
    """The synthetic sets that the configuration names, in its order.

    Raises:
        InputError: a name is not among the given sets or cannot be part of a file name.
    """
    names = config.generators or tuple(synthetic)
    unknown = [name for name in names if name not in synthetic]
    if unknown:
        given = ", ".join(synthetic) or "none"
        raise InputError(f"`generators` '{unknown[0]}' is not among the given sets: {given}")
    for name in names:
        if not name or any(c in '/\\:*?"<>|' or c.isspace() for c in name):
            raise InputError(f"the name '{name}' of a synthetic set cannot be part of a file name")
    return {name: synthetic[name] for name in names}


def arms(config: AblateConfig, generators: Mapping[str, ImageSet]) -> list[AblationArm]:
    """All arms: the controls, ratio 0 once, then every generator at every other ratio."""
    listed = [AblationArm(f"{control}", control) for control in dict.fromkeys(config.controls)]
    listed.append(AblationArm(AUGMENTED, "mixture"))
    for name in generators:
        for ratio in config.ratios:
            if ratio > 0:
                listed.append(AblationArm(f"{name}-ratio{ratio:g}", "mixture", name, ratio))
    return listed


def _check_held_out(config: AblateConfig, images: ImageSet) -> None:
    if not images.has_splits:
        raise InputError(
            f"'{images.root}' has no train/val/test split: run 'hzsynth data split' first"
        )
    if config.label not in images.labels:
        raise InputError(
            f"`label` '{config.label}' is not a class of '{images.root}': it has "
            f"{', '.join(images.labels)}"
        )
    for split in ("train", "val", "test"):
        part = images.select(split)
        positives = len(part.select(label=config.label))
        if positives == 0 or positives == len(part):
            raise InputError(
                f"the {split} split of '{images.root}' needs images of '{config.label}' and of "
                f"another class, but has {positives} of {len(part)}"
            )


def plan(config: AblateConfig, images: ImageSet, synthetic: Mapping[str, ImageSet]) -> list[Cell]:
    """Lists every cell and checks what would otherwise fail hours later.

    Args:
        config: the ablation's settings.
        images: photographs with train, val and test split.
        synthetic: name -> set of generated images.

    Returns:
        The cells, seed by seed, so that an interrupted ablation is balanced.

    Raises:
        InputError: the class or a split is missing, a ratio does not fit the multiplier,
            a generator is unknown or holds too few images.
        RefusedError: an image to learn from touches a held-out photograph.
    """
    _check_held_out(config, images)
    generators = chosen_generators(config, synthetic)
    if not generators and any(config.ratios):
        raise InputError(
            "ratios above 0 need a synthetic set: give one, or only the ratio 0 in `ratios`"
        )
    count = len(images.select("train", config.label))
    needed = max(
        plan_target(count, ratio, config.multiplier, "mixture").synthetic for ratio in config.ratios
    )
    for name, pool in generators.items():
        held = len(pool.select(label=config.label))
        if held < needed:
            raise InputError(
                f"ratio {config.ratios[-1]:g} needs {needed} synthetic images of "
                f"'{config.label}', but '{name}' holds {held}"
            )
    pools = [pool.select(label=config.label) for pool in generators.values()]
    check_lineage([images.training_part(), *pools], [images.held_out_part()])
    listed = arms(config, generators)
    return [Cell(arm, seed) for seed in range(config.seeds) for arm in listed]


def target_plan(config: AblateConfig, images: ImageSet, arm: AblationArm) -> ClassPlan:
    """How the target class of an arm's training set is made up."""
    count = len(images.select("train", config.label))
    return plan_target(count, arm.ratio, config.multiplier, arm.kind)


def power_table(
    positive_patients: int, runs: int, confidence: float, spreads: Spreads = ASSUMED
) -> pd.DataFrame:
    """What the contrast that decides can find, with this test set and with larger ones.

    Args:
        positive_patients: test patients with the target class.
        runs: of each arm.
        confidence: of the interval.
        spreads: by how much the difference varies.

    Returns:
        Test patients with the class, the power to find each gain in average precision, and the
        gain that is found with a power of 80 %; one row for this test set and one each for usual
        sizes.
    """
    rows = []
    for patients in sorted({*_POWER_PATIENTS, positive_patients}):
        own = " (this test set)" * (patients == positive_patients)
        row: dict[str, object] = {"test patients of the class": f"{patients}{own}"}
        for gain in _POWER_GAINS:
            power = contrast_power(gain, patients, runs, spreads, confidence)
            row[f"power for +{gain:g}"] = f"{power:.0%}"
        smallest = findable_gain(patients, runs, spreads, confidence)
        row["found with 80%"] = "none" if smallest is None else f"+{smallest:.2f}"
        rows.append(row)
    return pd.DataFrame(rows)


def plan_text(
    config: AblateConfig, images: ImageSet, cells: list[Cell], pilot: Spreads | None = None
) -> str:
    """The design and its power in a few lines, printed before the first cell is run.

    Args:
        config: the ablation's settings.
        images: photographs with train, val and test split.
        cells: what `plan` listed.
        pilot: spreads that an earlier ablation saw; None: those of `power.ASSUMED`.
    """
    test = images.select("test", config.label)
    patients = len({record.patient for record in test})
    distinct = list(dict.fromkeys(cell.arm for cell in cells))
    spreads = pilot or ASSUMED
    whence = (
        "as the pilot saw it"
        if pilot
        else "an assumption, nothing was measured: 'hzsynth ablate plan --pilot RUN' takes what a "
        "smaller ablation saw"
    )
    lines = [
        f"{len(cells)} cells: {len(distinct)} arms x {config.seeds} seeds "
        f"({', '.join(arm.title for arm in distinct)})",
        f"{len(images.select('train', config.label))} training and {len(test)} test photographs "
        f"of '{config.label}' of {patients} patients ({len(images.select('test'))} test "
        "photographs in all)",
        f"power to find a gain in average precision over ratio 0 with {config.seeds} runs, if it "
        f"varies by {spreads.patient:.2g} from patient to patient and by {spreads.run:.2g} from run "
        f"to run ({whence}):",
        power_table(patients, config.seeds, config.confidence, spreads).to_string(index=False),
    ]
    if patients < FEWEST_PATIENTS:
        lines.append(
            f"Fewer than {FEWEST_PATIENTS} test patients of the class say nothing about others: "
            "this test set cannot give an answer."
        )
    return "\n".join(lines)


def plan_values(
    config: AblateConfig, images: ImageSet, cells: list[Cell], pilot: Spreads | None = None
) -> dict[str, object]:
    """The same as plain values: cells, spreads and where they come from, and the table of power."""
    patients = len({record.patient for record in images.select("test", config.label)})
    spreads = pilot or ASSUMED
    table = power_table(patients, config.seeds, config.confidence, spreads)
    return {
        "cells": [cell.name for cell in cells],
        "test_patients": patients,
        "spreads": {**asdict(spreads), "source": "pilot" if pilot else "assumed"},
        "power": table.to_dict("records"),
    }
