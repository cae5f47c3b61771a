"""The settings of `scoring.score_images`; importing them costs no torch."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.score.catalogue import MetricName

FeatureName = Literal[
    "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "inception", "dinov2"
]

Filter = Literal["none", "plausible", "authentic", "both"]
"""Which generated images `select_images` keeps."""
PartName = Literal["held-out", "val", "test", "train", "all"]


class ScoreConfig(Config):
    """Settings of `score_images`."""

    metrics: tuple[MetricName, ...] = Field(
        ("kid", "prdc", "tone", "memorisation"), description="figures to compute", min_length=1
    )
    split: PartName = Field(
        "held-out",
        description="photographs to compare with: held-out is val and test, which no generator saw; the "
        "figure against the training ones stands beside it",
    )
    features: FeatureName = Field("efficientnet-lite0", description="feature space")
    inception_weights: Path | None = Field(
        None, description="weights file for inception features (hash-checked)"
    )
    dinov2_weights: Path | None = Field(
        None, description="weights file for dinov2 features (small or base), stamped"
    )
    by: str | None = Field(
        None,
        description="also score each value of label, split, source, another column, or tone",
    )
    smallest_group: int = Field(
        12, ge=6, description="images that a group needs in both sets to get figures"
    )
    subset_size: int | None = Field(
        None, ge=2, description="images in a KID subset; by default half of the smaller set"
    )
    subsets: int = Field(100, ge=2, description="KID subsets")
    floor_repeats: int = Field(20, ge=2, description="random divisions for the real-vs-real floor")
    relabellings: int = Field(
        399, ge=99, description="of photographs and generated images, for the chance of a figure"
    )
    size: int | None = Field(
        None,
        ge=16,
        description="side in pixels to which both sets are brought; by default that of the smaller",
    )
    pairs: int = Field(8, ge=1, description="closest pairs to report")
    seed: int = Field(0, ge=0, description="seed of subsets and divisions")
