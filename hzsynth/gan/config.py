"""Settings of the GAN room, read and checked without torch."""

from pathlib import Path
from typing import Literal, Self, cast, get_args

from pydantic import Field, field_validator, model_validator

from hzsynth.core.config import Config
from hzsynth.gan.backends import backend_named
from hzsynth.gan.presets import PRESETS, PresetName

GeneratorName = Literal["light", "stylegan2"]
DiscriminatorName = Literal["projected", "stylegan2"]
BackendName = Literal["native", "stylegan2-pytorch"]
AugmentationName = Literal["diffaugment", "ada", "none"]
Resolution = Literal[16, 32, 64, 128, 256, 512, 1024]
WatchFeatures = Literal["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]


class GanConfig(Config):
    """How a GAN is trained.

    A preset fills what is not given; its default, ``tiny``, serves some tens of images on a CPU.
    """

    preset: PresetName = Field("tiny", description="settings that go together: fills the rest")
    label: str = Field("all", description="class to learn, or all")
    conditional: bool = Field(
        True, description="label all: one generator that is told the class, every class as often"
    )
    resolution: Resolution = Field(64, description="side of the images in pixels")
    kimg: float = Field(
        60.0, gt=0, description="thousands of training images shown; ignored with minutes"
    )
    minutes: float | None = Field(
        None, gt=0, description="stop after this much training time instead of kimg"
    )
    generator: GeneratorName = Field(
        "light", description="what makes the images: light serves tens of photographs"
    )
    discriminator: DiscriminatorName = Field(
        "projected", description="what judges them: projected sees by a frozen ImageNet network"
    )
    backend: BackendName = Field(
        "native",
        description="whose networks and losses: ours, or those of the package stylegan2-pytorch",
    )
    augment: AugmentationName = Field(
        "diffaugment", description="how images are varied before the discriminator sees them"
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
        0,
        ge=0,
        le=8,
        description="stylegan2 discriminator: leave its first blocks as those of init are",
    )
    held_out_share: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of the photographs that only watch; by default .2 from 100 on, else 0",
    )
    batch: int = Field(16, ge=2, le=1024, description="images a step")
    generator_rate: float | None = Field(
        None, gt=0, le=1, description="Adam's learning rate; by default the network's own"
    )
    discriminator_rate: float | None = Field(
        None, gt=0, le=1, description="the same, discriminator"
    )
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

    @field_validator("resolution", mode="before")
    @classmethod
    def _number_of_text(cls, value: object) -> object:
        # Options come as text, which a choice of numbers would refuse.
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: dict[str, object]) -> dict[str, object]:
        preset, backend = values.get("preset", "tiny"), values.get("backend", "native")
        # A wrong name is left to the fields' own checks.
        if preset not in get_args(PresetName) or backend not in get_args(BackendName):
            return values
        settings = PRESETS[cast(PresetName, preset)]
        return backend_named(str(backend)).defaults(settings, values) | values

    @model_validator(mode="after")
    def _fitting_parts(self) -> Self:
        if self.freeze_d and self.init is None:
            raise ValueError("`freeze_d` needs `init`: the blocks of fresh weights see nothing")
        refusal = backend_named(self.backend).refusal(self)
        if refusal:
            raise ValueError(refusal)
        return self

    @property
    def rates(self) -> tuple[float, float]:
        """Learning rates of generator and discriminator."""
        generator, discriminator = backend_named(self.backend).rates(self)
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


class ProjectionConfig(Config):
    """How the code of a photograph is searched."""

    steps: int = Field(300, ge=1, le=100_000, description="steps of Adam for each photograph")
    rate: float = Field(0.1, gt=0, description="Adam's learning rate at its largest")
    candidates: int = Field(256, ge=1, le=100_000, description="random codes to begin among")
    starts: int = Field(2, ge=1, le=64, description="best candidates that are followed")
    pixel_weight: float = Field(
        1.0, ge=0, description="weight of the mean squared difference of pixels in [-1, 1]"
    )
    seed: int = Field(0, ge=0, description="root of all random draws")
