"""The settings of `build_dataset`; importing them costs no numpy."""

from typing import Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from hzsynth.core.config import Config

Arm = Literal["mixture", "real", "synthetic-only"]
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
    multiplier: int = Field(10, ge=1, description="the class is filled to multiplier x n views")
    arm: Arm = Field("mixture", description="mixture, or one of the controls")
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
        ONE_IMAGE_NAMES, min_length=1, description="by which a training varies every image"
    )
    strength: float = Field(1.0, gt=0, le=2, description="scales every strategy")
    mix: Mix = Field("none", description="mix half of the written varied images with another one")
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
    write_augmented: bool = Field(
        False, description="also write every further view as a varied file, for other tools"
    )
    seed: int = Field(0, ge=0, description="of the choice of images and of written variations")

    @field_validator("write_augmented")
    @classmethod
    def _mixing_is_written(cls, write: bool, info: ValidationInfo) -> bool:
        if info.data.get("mix", "none") != "none" and not write:
            raise ValueError("`mix` mixes written images, a classifier mixes while it trains")
        return write
