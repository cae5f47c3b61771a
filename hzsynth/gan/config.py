"""Settings of the GAN room."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from hzsynth.core.config import Config
from hzsynth.gan import lucidrains
from hzsynth.gan.presets import PRESETS, PresetName

GeneratorName = Literal["light", "stylegan2"]
DiscriminatorName = Literal["projected", "stylegan2"]
WatchFeatures = Literal["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]


class GanConfig(Config):
    """How a GAN is trained.

    A preset fills what is not given; its default, ``tiny``, serves some tens of images on a CPU.
    """

    preset: PresetName = Field("tiny", description="tiny, small or standard: fills the rest")
    label: str = Field("all", description="class to learn, or all")
    conditional: bool = Field(
        True, description="label all: one generator that is told the class, every class as often"
    )
    resolution: int = Field(64, description="side of the images in pixels: 16, 32 ... 1024")
    kimg: float = Field(
        60.0, gt=0, description="thousands of training images shown; ignored with minutes"
    )
    minutes: float | None = Field(
        None, gt=0, description="stop after this much training time instead of kimg"
    )
    generator: GeneratorName = Field("light", description="light or stylegan2")
    discriminator: DiscriminatorName = Field("projected", description="projected or stylegan2")
    backend: Literal["native", "stylegan2-pytorch"] = Field(
        "native",
        description="whose networks and losses: ours, or those of the package stylegan2-pytorch",
    )
    augment: Literal["diffaugment", "ada", "none"] = Field(
        "diffaugment", description="what the discriminator sees: diffaugment, ada or none"
    )
    ada_kimg: float | None = Field(
        None,
        gt=0,
        description="ada: thousands of images in which its strength could reach 1; default kimg",
    )
    flip: bool = Field(True, description="mirror half of the reals")
    init: Path | None = Field(
        None, description="a run of the same networks whose weights training starts from"
    )
    freeze_d: int = Field(
        0, ge=0, description="stylegan2 discriminator: leave its first blocks as --init has them"
    )
    held_out_share: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of the photographs that only watch; by default .2 from 100 on, else 0",
    )
    batch: int = Field(16, ge=2, le=1024, description="images a step")
    generator_rate: float | None = Field(
        None, gt=0, description="Adam's learning rate; by default 1e-3, 2e-3 for stylegan2"
    )
    discriminator_rate: float | None = Field(None, gt=0, description="the same, discriminator")
    ema: float = Field(0.995, ge=0, lt=1, description="decay a step of the averaged generator")
    channel_multiplier: float = Field(1.0, gt=0, le=8, description="scales every width")
    feature_size: int = Field(
        128, ge=32, le=512, description="projected: images are enlarged to this side first"
    )
    bank_views: int = Field(
        3000, ge=32, description="projected: most augmented real views kept in memory"
    )
    bank_megabytes: int = Field(512, ge=1, description="projected: most memory of that bank")
    mapping_layers: int = Field(2, ge=1, le=16, description="stylegan2: depth (paper: 8)")
    mapping_rate: float = Field(
        0.1, gt=0, le=1, description="stylegan2: mapping's share of the rate (paper: 0.01)"
    )
    style_mixing: float = Field(
        0.0, ge=0, le=1, description="stylegan2: share of images from two w (paper: 0.9)"
    )
    r1_gamma: float | None = Field(
        None, ge=0, description="stylegan2 discriminator: default 0.0002 * resolution^2 / batch"
    )
    path_length_weight: float = Field(
        0.0, ge=0, description="stylegan2 generator: path length weight (paper: 2; 0 is off)"
    )
    compile: bool = Field(
        False, description="compile the generator's step first: for long runs on a GPU"
    )
    snapshot_kimg: float = Field(4.0, gt=0, description="samples and scores every so often")
    snapshot_samples: int = Field(
        128, ge=4, description="images a snapshot: its sheet shows up to 64 of them"
    )
    watch: bool = Field(
        True, description="judge every snapshot, keep the best, stop when it is over"
    )
    watch_features: WatchFeatures = Field(
        "efficientnet-lite1", description="in which features snapshots are judged"
    )
    most_copies: float = Field(
        0.15, gt=0, le=1, description="largest share of near-copies in a moment worth keeping"
    )
    patience: int = Field(
        5, ge=0, description="stop after so many snapshots without a gain; 0: never"
    )
    checkpoint_seconds: float = Field(60.0, ge=0, description="state saved at least so often")
    seed: int = Field(0, ge=0, description="root of all random draws")

    @field_validator("resolution")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value not in (16, 32, 64, 128, 256, 512, 1024):
            raise ValueError("resolution is a power of two from 16 to 1024")
        return value

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: dict[str, object]) -> dict[str, object]:
        preset = dict(PRESETS.get(values.get("preset", "tiny"), {}))  # type: ignore[call-overload]
        if values.get("backend") == "stylegan2-pytorch":
            networks = {"generator": "stylegan2", "discriminator": "stylegan2"}
            theirs = {"conditional": False, "style_mixing": lucidrains.STYLE_MIXING}
            preset |= {**networks, **theirs, "path_length_weight": 0.0}
        elif values.get("generator", preset.get("generator")) != "stylegan2":
            for name in ("mapping_layers", "mapping_rate", "style_mixing", "path_length_weight"):
                preset.pop(name, None)
        return preset | values

    @model_validator(mode="after")
    def _fitting_parts(self) -> Self:
        if self.backend == "stylegan2-pytorch":
            if (self.generator, self.discriminator) != ("stylegan2", "stylegan2"):
                raise ValueError(
                    "backend stylegan2-pytorch has its own generator and discriminator"
                )
            if self.conditional or self.path_length_weight or self.r1_gamma is not None:
                raise ValueError(
                    "backend stylegan2-pytorch has its own penalties and no class-conditional networks"
                )
        if self.freeze_d and (self.init is None or self.discriminator != "stylegan2"):
            raise ValueError(
                "freeze_d needs init and discriminator stylegan2 (the projected one's features "
                "never learn)"
            )
        if self.style_mixing and self.generator != "stylegan2":
            raise ValueError("style_mixing needs generator stylegan2")
        if self.path_length_weight and self.generator != "stylegan2":
            raise ValueError("path_length_weight needs generator stylegan2")
        return self

    @property
    def rates(self) -> tuple[float, float]:
        """Learning rates of generator and discriminator."""
        if self.backend == "stylegan2-pytorch":
            return (
                self.generator_rate or lucidrains.GENERATOR_RATE,
                self.discriminator_rate or lucidrains.DISCRIMINATOR_RATE,
            )
        generator, discriminator = (
            2e-3 if name == "stylegan2" else 1e-3 for name in (self.generator, self.discriminator)
        )
        return self.generator_rate or generator, self.discriminator_rate or discriminator

    @property
    def gamma(self) -> float:
        """R1's weight: the given one, or the heuristic of arXiv:2006.06676."""
        if self.r1_gamma is not None:
            return self.r1_gamma
        return 0.0002 * self.resolution**2 / self.batch

    @property
    def total_steps(self) -> int:
        """Steps of a run that stops by kimg."""
        return max(1, round(self.kimg * 1000 / self.batch))
