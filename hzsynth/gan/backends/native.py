"""The networks of this room: a light generator and StyleGAN2, a projected discriminator and StyleGAN2's."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from hzsynth.gan.backends.base import Backend

if TYPE_CHECKING:
    from hzsynth.gan.config import GanConfig
    from hzsynth.gan.interfaces import DiscriminatorNetwork, GeneratorNetwork
    from hzsynth.gan.objectives import Objective

_OF_STYLES = ("mapping_layers", "mapping_rate", "style_mixing", "path_length_weight")
"""Settings of a preset that only a generator with a w space has."""

_RATES = {"light": 1e-3, "projected": 1e-3, "stylegan2": 2e-3}


class Native(Backend):
    """Each generator with each discriminator."""

    name: ClassVar[str] = "native"

    def defaults(
        self, preset: Mapping[str, object], given: Mapping[str, object]
    ) -> dict[str, object]:
        """A preset without what the light generator does not have."""
        light = given.get("generator", preset.get("generator")) != "stylegan2"
        return {k: v for k, v in preset.items() if not (light and k in _OF_STYLES)}

    def refusal(self, config: "GanConfig") -> str:
        """Style mixing and path lengths need a w space, FreezeD a discriminator that learns to see."""
        if config.freeze_d and config.discriminator != "stylegan2":
            return "`freeze_d` needs `discriminator` stylegan2 (the projected one's features never learn)"
        for name in ("style_mixing", "path_length_weight"):
            if getattr(config, name) and config.generator != "stylegan2":
                return f"`{name}` needs `generator` stylegan2"
        return ""

    def rates(self, config: "GanConfig") -> tuple[float, float]:
        """By network."""
        return _RATES[config.generator], _RATES[config.discriminator]

    def generator(self, config: "GanConfig", classes: int) -> "GeneratorNetwork":
        """The light one or StyleGAN2's."""
        if config.generator == "light":
            from hzsynth.gan.light import LightGenerator

            return LightGenerator(config.resolution, config.channel_multiplier, classes)
        from hzsynth.gan.stylegan2 import StyleGAN2Generator

        return StyleGAN2Generator(
            config.resolution,
            config.channel_multiplier,
            config.mapping_layers,
            classes,
            config.mapping_rate,
        )

    def discriminator(self, config: "GanConfig", classes: int) -> "DiscriminatorNetwork":
        """The projected one or StyleGAN2's.

        Raises:
            InputError: the frozen network's weights are not on this machine.
        """
        if config.discriminator == "projected":
            from hzsynth.gan.projected_discriminator import ProjectedDiscriminator

            return ProjectedDiscriminator(config.channel_multiplier, config.feature_size, classes)
        from hzsynth.gan.stylegan2 import StyleGAN2Discriminator

        return StyleGAN2Discriminator(config.resolution, config.channel_multiplier, classes)

    def objective(self, config: "GanConfig") -> "Objective":
        """Hinge loss for the projected discriminator; logistic loss and R1 for StyleGAN2's."""
        from hzsynth.gan.objectives import HINGE, LOGISTIC, Objective
        from hzsynth.gan.penalties import LazyPathLength, LazyR1

        learns_to_see = config.discriminator == "stylegan2"
        weight = config.path_length_weight
        return Objective(
            loss=LOGISTIC if learns_to_see else HINGE,
            adam_betas=(0.0, 0.99),
            separate_penalty=LazyR1(config.gamma) if learns_to_see and config.gamma else None,
            path_length=LazyPathLength(weight) if weight else None,
        )
