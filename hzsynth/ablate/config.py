"""The settings of an ablation; importing them costs no torch."""

from typing import Any, Literal

from pydantic import Field, field_validator

from hzsynth.classify.train.config import ClassifyConfig
from hzsynth.core.config import Config

Control = Literal["real"]


class AblateConfig(Config):
    """Settings of `run_ablation`."""

    label: str = Field("herpes_zoster", description="target class")
    ratios: tuple[float, ...] = Field(
        (0, 0.25, 0.5, 1, 2, 4, 9),
        description="synthetic images per real one; 0 (pure augmentation) is always run",
    )
    seeds: int = Field(5, ge=1, description="runs of every arm: 5 to screen, 10 to report")
    seed: int = Field(0, ge=0, description="root of every seed")
    generators: tuple[str, ...] = Field(
        (), description="names of the synthetic sets to use; empty for all that are given"
    )
    multiplier: int = Field(10, ge=1, description="the class is filled to multiplier x n images")
    controls: tuple[Control, ...] = Field(
        ("real",), description="arms without synthetic images, beside ratio 0"
    )
    balance: Literal["none", "target", "all"] = Field(
        "target", description="which classes are filled (see build-dataset)"
    )
    size: int | None = Field(
        None,
        ge=16,
        le=2048,
        description="side of the training images; None for the classifier's input",
    )
    classifier: ClassifyConfig = Field(
        default_factory=lambda: ClassifyConfig.from_sources(),
        description="the classifier, the same in every arm; its label and seed are set by the cell",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="of every interval")
    replicates: int = Field(2000, ge=200, description="bootstrap replicates of a contrast")
    margin: float = Field(
        0.05, gt=0, lt=1, description="largest loss of average precision that counts as equal"
    )
    keep_models: bool = Field(False, description="keep the weights of every cell's classifier")

    @field_validator("classifier", mode="before")
    @classmethod
    def _named_classifier_keys(cls, value: Any) -> Any:
        # The classifier's own sentence names its own keys where one is not allowed.
        return ClassifyConfig.from_sources(None, value) if isinstance(value, dict) else value

    @field_validator("ratios")
    @classmethod
    def _sorted_ratios(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        if any(ratio < 0 for ratio in ratios):
            raise ValueError("a ratio is not negative")
        return tuple(sorted({0.0, *(float(ratio) for ratio in ratios)}))
