"""The networks of stylegan2-pytorch 1.9.0 (MIT), trained under this room's loop.

The package's `StyleVectorizer`, `Generator` and `Discriminator` train with the package's losses and
rates, but on a CPU too, with an exact resume and a rule for stopping. The package asserts CUDA when
it is imported, and is optional: it is imported when its networks are built.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from hzsynth.gan.backends.base import Backend

if TYPE_CHECKING:
    from hzsynth.gan.backends.stylegan2_pytorch.networks import PackageGenerator
    from hzsynth.gan.config import GanConfig
    from hzsynth.gan.interfaces import DiscriminatorNetwork, GeneratorNetwork
    from hzsynth.gan.objectives import Objective

_SETTINGS_KEY = "their_settings"
"""Where a file keeps the package's own settings of an imported generator: ours cannot say them all."""


class StyleGAN2PyTorch(Backend):
    """The package's pair; it has no class-conditional networks and penalties of its own."""

    name: ClassVar[str] = "stylegan2-pytorch"
    adam_betas: ClassVar[tuple[float, float]] = (0.5, 0.9)
    generator_rate: ClassVar[float] = 2e-4
    discriminator_rate: ClassVar[float] = 4e-4
    style_mixing: ClassVar[float] = 0.9

    def defaults(
        self, preset: Mapping[str, object], given: Mapping[str, object]
    ) -> dict[str, object]:
        """Its networks instead of the preset's, its own share of style mixing."""
        return {
            **preset,
            "generator": "stylegan2",
            "discriminator": "stylegan2",
            "conditional": False,
            "style_mixing": self.style_mixing,
            "path_length_weight": 0.0,
        }

    def refusal(self, config: "GanConfig") -> str:
        """The pair cannot be mixed with our networks, nor its penalties weighed."""
        if (config.generator, config.discriminator) != ("stylegan2", "stylegan2"):
            return f"`backend` {self.name} has its own `generator` and `discriminator`"
        if config.conditional:
            return (
                f"`backend` {self.name} has no class-conditional networks: `conditional` is false"
            )
        if config.path_length_weight or config.r1_gamma is not None:
            return f"`backend` {self.name} has its own penalties: name neither `path_length_weight` nor `r1_gamma`"
        if config.freeze_d:
            return f"`backend` {self.name} has no `freeze_d`"
        return ""

    def rates(self, config: "GanConfig") -> tuple[float, float]:
        """The package's own."""
        return self.generator_rate, self.discriminator_rate

    def source(self, config: "GanConfig") -> str:
        """The package's name."""
        return self.name

    def description(self, settings: Mapping[str, Any]) -> str:
        """The package's pair."""
        return f"{self.name}'s generator and discriminator"

    def generator(self, config: "GanConfig", classes: int) -> "GeneratorNetwork":
        """`StyleVectorizer` and `Generator`.

        Raises:
            InputError: the package is not installed.
        """
        from hzsynth.gan.backends.stylegan2_pytorch.networks import (
            PackageGenerator,
            PackageSettings,
        )

        settings = PackageSettings.scaled(config.resolution, config.channel_multiplier)
        return PackageGenerator(settings)

    def stored_generator(
        self, stored: Mapping[str, Any], config: "GanConfig", classes: int
    ) -> "GeneratorNetwork":
        """As `generator`, or with the settings of an imported one."""
        from hzsynth.gan.backends.stylegan2_pytorch.networks import (
            PackageGenerator,
            PackageSettings,
        )

        if _SETTINGS_KEY not in stored:
            return self.generator(config, classes)
        return PackageGenerator(PackageSettings(**stored[_SETTINGS_KEY]))

    @staticmethod
    def kept_beside_weights(network: "PackageGenerator") -> dict[str, Any]:
        """What a file of an imported generator holds for `stored_generator`, beside its weights."""
        return {_SETTINGS_KEY: asdict(network.settings)}

    def discriminator(self, config: "GanConfig", classes: int) -> "DiscriminatorNetwork":
        """`Discriminator`.

        Raises:
            InputError: the package is not installed.
        """
        from hzsynth.gan.backends.stylegan2_pytorch.networks import (
            PackageDiscriminator,
            PackageSettings,
        )

        settings = PackageSettings.scaled(config.resolution, config.channel_multiplier)
        return PackageDiscriminator(settings)

    def objective(self, config: "GanConfig") -> "Objective":
        """Hinge loss, a gradient penalty within it, path lengths late in training."""
        from hzsynth.gan.backends.stylegan2_pytorch.penalties import (
            PackageGradientPenalty,
            PackagePathLength,
        )
        from hzsynth.gan.objectives import HINGE, Objective

        return Objective(
            loss=HINGE,
            adam_betas=self.adam_betas,
            joined_penalty=PackageGradientPenalty(),
            path_length=PackagePathLength(),
        )
