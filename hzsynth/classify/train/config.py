"""The settings of every training of this room: fine-tuning, going on, KDE-CT.

Nothing here needs torch, so that commands can read the fields quickly.
"""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from hzsynth.core.config import Config

Optimiser = Literal["adam", "adamw"]
Schedule = Literal["cosine", "linear", "constant"]
ClassWeights = Literal["none", "balanced"]
Augment = Literal["none", "flip", "vary"]
Strategy = Literal[
    "lp-ft",
    "full",
    "linear",
    "gradual-last-first",
    "gradual-first-last",
    "l1-sp",
    "l2-sp",
    "auto-rgn",
]
Robust = Literal["none", "gnt", "gnt-mult", "ant", "augmix", "pixmix"]
Loss = Literal["cross-entropy", "focal"]
Mix = Literal["none", "mixup", "cutmix", "both"]
Protection = Literal["replay", "l2-sp", "ewc", "none"]
TeacherOrder = Literal["weak-to-strong", "strong-to-weak", "all-at-once"]
InputNoise = Literal["none", "ramp", "constant"]
TeacherView = Literal["clean", "noisy"]

CLASSIFY_RUN, KDECT_RUN = "classify", "kdect"
"""Kinds of the runs that hold a classifier."""

ENSEMBLES = {
    "ensemble-m": (
        "seresnext101_32x4d",
        "resnext101_32x8d",
        "densenet121",
        "mobilenetv3_small_100",
    ),
    "ensemble-e": ("seresnext101_32x4d", "resnext101_32x8d", "densenet121", "efficientnet_b0"),
}
"""Members of the published ensembles.

They are not named where we could read; these four are the only choice among the table's models whose
parameters (142.2 M and 144.6 M) and multiply-accumulates (2,746 M and 2,781 M) add up.
"""


class FittingConfig(Config):
    """The settings that every training of this room has."""

    label: str = Field("herpes_zoster", description="target class, reported on its own")
    size: int = Field(128, ge=16, le=1024, description="side of the input, pixels")
    batch: int = Field(16, ge=2, le=4096, description="images a step")
    learning_rate: float = Field(3e-4, gt=0, description="Adam's rate of the whole network")
    head_learning_rate: float = Field(
        1e-3, gt=0, description="Adam's rate of a head that starts at random"
    )
    weight_decay: float = Field(1e-5, ge=0, description="Adam's weight decay")
    optimiser: Optimiser = Field(
        "adam", description="adamw keeps weight decay apart from the gradient"
    )
    schedule: Schedule = Field("cosine", description="of the rates after a warm-up")
    linear_share: float = Field(
        0.5, gt=0, lt=1, description="LP-FT: share of the steps that train the head only"
    )
    class_weights: ClassWeights = Field(
        "none", description="balanced: cross-entropy weighs every class the same"
    )
    balanced_sampler: bool = Field(False, description="draw the class first, then its image")
    augment: Augment = Field(
        "vary",
        description=(
            "flip: mirror half of the images; vary: every image, each time it is seen, by the "
            "strategies of its set, alike in every class"
        ),
    )
    average: bool = Field(True, description="use a moving average (EMA) of the weights")
    average_decay: float = Field(0.98, ge=0, lt=1, description="its decay a step, at most")
    evaluate_every: int = Field(10, ge=1, description="steps between two looks at validation")
    patience: int = Field(
        0, ge=0, description="stop after so many looks without gain; 0: train all steps"
    )
    checkpoint_seconds: float = Field(30.0, ge=0, description="seconds between two checkpoints")
    seed: int = Field(0, ge=0, description="root of all random draws")

    @field_validator("balanced_sampler")
    @classmethod
    def _balanced_once(cls, balanced: bool, info: ValidationInfo) -> bool:
        if balanced and info.data.get("class_weights") == "balanced":
            raise ValueError(
                "with `class_weights` balanced the rare class would count twice over; choose one"
            )
        return balanced


class ClassifyConfig(FittingConfig):
    """How one classifier is trained; the defaults serve a few hundred images on a CPU."""

    model: str = Field("efficientnet-lite0", description="a timm model or efficientnet-lite0/1/2")
    pretrained: str = Field(
        "imagenet",
        description="imagenet (lite models; others once fetched), none, a file, or a classifier's run",
    )
    finetune: Strategy = Field("lp-ft", description="fine-tuning strategy")
    blend: float | None = Field(
        None,
        ge=0,
        le=1,
        description="LP-FT: share of the fine-tuned weights in the result, the rest being "
        "linear-probed; left out: the share that does best on validation",
    )
    start_penalty: float = Field(
        0.01, ge=0, description="L1-SP, L2-SP: strength that holds the body near its start"
    )
    head_penalty: float = Field(
        0.001, ge=0, description="L1-SP, L2-SP: strength that holds the head near zero"
    )
    robust: Robust = Field("none", description="training for robustness while the body learns")
    loss: Loss = Field("cross-entropy", description="of the body")
    focal_gamma: float = Field(
        2.0, ge=0, description="focal loss: how much it turns away from what is nearly right"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="cross-entropy: share of a target spread over all classes"
    )
    mix: Mix = Field("none", description="mixes the images of a batch")
    mix_alpha: float = Field(0.4, gt=0, description="of the beta distribution of the shares")
    steps: int = Field(200, ge=1, description="optimiser steps of all phases together")

    @field_validator("label_smoothing")
    @classmethod
    def _smoothing_is_of_cross_entropy(cls, share: float, info: ValidationInfo) -> float:
        if share and info.data.get("loss") == "focal":
            raise ValueError("it belongs to cross-entropy; `loss` focal has none")
        return share

    @field_validator("robust", "mix")
    @classmethod
    def _body_learns(cls, way: str, info: ValidationInfo) -> str:
        if way != "none" and info.data.get("finetune") == "linear":
            raise ValueError("it acts while the body learns, which `finetune` linear never lets it")
        return way


class ContinueConfig(FittingConfig):
    """How a classifier goes on; label, size and model are those of the classifier."""

    steps: int = Field(100, ge=1, description="optimiser steps")
    protect: Protection = Field("replay", description="against forgetting")
    strength: float = Field(1.0, ge=0, description="of the penalty of l2-sp and ewc")


class KdectConfig(FittingConfig):
    """How the ensemble and the student are trained."""

    teachers: tuple[str, ...] = Field(
        ("efficientnet-lite0", "efficientnet-lite1"),
        min_length=1,
        description=f"models, or one of {', '.join(ENSEMBLES)}",
    )
    student: str = Field("efficientnet-lite0", description="the distilled model")
    teacher_pretrained: str = Field(
        "imagenet",
        description="imagenet (lite; others once fetched), none, or a folder with MODEL.safetensors",
    )
    pretrained: str = Field(
        "imagenet", description="student: imagenet, none, a weights file or a run"
    )
    teacher_steps: int = Field(200, ge=1, description="optimiser steps of each teacher")
    stage_steps: int = Field(100, ge=1, description="optimiser steps of each student's stage")
    temperature: float = Field(4.0, ge=1, description="T of the distillation")
    alpha: float = Field(0.7, ge=0, le=1, description="share of the teachers in the loss")
    teacher_order: TeacherOrder = Field("weak-to-strong", description="in which teachers join in")
    input_noise: InputNoise = Field(
        "ramp", description="corruption of the student's input over the steps"
    )
    noise_strength: float = Field(1.0, ge=0, le=1, description="strongest corruption")
    teacher_view: TeacherView = Field(
        "clean", description="whether the teachers see the clean or the student's noisy view"
    )

    @field_validator("teachers")
    @classmethod
    def _distinct(cls, teachers: tuple[str, ...]) -> tuple[str, ...]:
        teachers = tuple(name for given in teachers for name in ENSEMBLES.get(given, (given,)))
        if len(set(teachers)) < len(teachers):
            raise ValueError("every teacher is named once")
        return teachers
