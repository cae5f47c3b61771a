"""The settings of `build_dataset`; importing them costs no numpy."""

from typing import Literal, get_args

from pydantic import Field

from hzsynth.core.config import Config

Arm = Literal["mixture", "real", "duplicated", "synthetic-only"]
Mix = Literal["none", "mixup", "cutmix"]
StrategyName = Literal[
    "flip",
    "rotation",
    "zoom",
    "translation",
    "brightness-contrast",
    "hue-saturation",
    "noise",
    "cutout",
]
"""The strategies that work on one image (see `augment.strategies`)."""

ONE_IMAGE_NAMES: tuple[StrategyName, ...] = get_args(StrategyName)


class BuildConfig(Config):
    """Settings of `build_dataset`."""

    label: str = Field("herpes_zoster", description="target class, which is filled")
    ratio: float = Field(1.0, ge=0, description="synthetic images per real one of the target class")
    multiplier: int = Field(10, ge=1, description="the class is filled to multiplier x n images")
    arm: Arm = Field(
        "mixture", description="mixture, or a control: real, duplicated, synthetic-only"
    )
    balance: Literal["none", "target", "all"] = Field(
        "target",
        description=(
            "which classes are filled: target; all (each up to the largest class); "
            "none (each to multiplier x its own n, so that the proportions stay)"
        ),
    )
    synthetic_classes: Literal["target", "every"] = Field(
        "target",
        description=(
            "which classes get synthetic images; every: each at the same ratio, so that being "
            "synthetic does not predict the class"
        ),
    )
    weights: tuple[float, ...] = Field(
        (), description="how much is drawn from each synthetic set; empty: as much as it has"
    )
    strategies: tuple[StrategyName, ...] = Field(
        ONE_IMAGE_NAMES, min_length=1, description="classical augmentations"
    )
    strength: float = Field(1.0, gt=0, le=2, description="scales every augmentation")
    mix: Mix = Field("none", description="mix half of the augmented images with another one")
    mix_classes: Literal["own", "any"] = Field(
        "own",
        description=(
            "whom an image is mixed with: one of its own class, or a photograph of any class, "
            "each class equally likely (the mixed image then has a soft label)"
        ),
    )
    size: int | None = Field(
        None, ge=16, le=2048, description="side of the written training images; None keeps each"
    )
    seed: int = Field(0, ge=0, description="of the choice of images and of augmentations")
