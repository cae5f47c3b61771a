"""The design of an ablation: its arms, its cells (arm x seed) and what it can find at all.

The protocol follows Ktena et al. 2024 (Nature Medicine 30): the same steps and batch in
every arm, several replicates, the photographs alone as controls: seen once, and as often as the filled
class of every other arm (ratio 0).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from hzsynth.ablate.config import AblateConfig
from hzsynth.augment.config import Arm
from hzsynth.augment.mixture import ClassPlan, plan_target
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.statistics.power import mcnemar_power

AUGMENTED = "augmented"
_POWER_POSITIVES = (15, 30, 60, 120, 240)


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
    listed = arms(config, generators)
    return [Cell(arm, seed) for seed in range(config.seeds) for arm in listed]


def target_plan(config: AblateConfig, images: ImageSet, arm: AblationArm) -> ClassPlan:
    """How the target class of an arm's training set is made up."""
    count = len(images.select("train", config.label))
    return plan_target(count, arm.ratio, config.multiplier, arm.kind)


def power_table(test_positives: int) -> pd.DataFrame:
    """What a test set of this size can find: to be read before anything is run.

    Args:
        test_positives: test images of the target class.

    Returns:
        Test positives and the power of the exact McNemar test (level 5 %) to find a gain of
        ten and of twenty points of recall, where 5 % of the positives are lost on the way;
        one row for this test set and one each for usual sizes.
    """
    rows = []
    for positives in sorted({*_POWER_POSITIVES, test_positives}):
        rows.append(
            {
                "test positives": f"{positives}{' (this test set)' * (positives == test_positives)}",
                "power for +10 points": f"{mcnemar_power(positives, 0.10):.1%}",
                "power for +20 points": f"{mcnemar_power(positives, 0.20):.1%}",
            }
        )
    return pd.DataFrame(rows)


def plan_text(config: AblateConfig, images: ImageSet, cells: list[Cell]) -> str:
    """The design and its power in a few lines, printed before the first cell is run."""
    positives = len(images.select("test", config.label))
    distinct = list(dict.fromkeys(cell.arm for cell in cells))
    lines = [
        f"{len(cells)} cells: {len(distinct)} arms x {config.seeds} seeds "
        f"({', '.join(arm.title for arm in distinct)})",
        f"{len(images.select('train', config.label))} training and {positives} test photographs "
        f"of '{config.label}' ({len(images.select('test'))} test photographs in all)",
        "power of the exact McNemar test for a gain in recall:",
        power_table(positives).to_string(index=False),
    ]
    return "\n".join(lines)
