"""What a backend is. Settings are read and checked without torch, so networks are imported late."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from hzsynth.gan.config import GanConfig
    from hzsynth.gan.interfaces import DiscriminatorNetwork, GeneratorNetwork
    from hzsynth.gan.objectives import Objective


class Backend(ABC):
    """Networks with the losses, rates and defaults that belong to them.

    Attributes:
        name: as the setting ``backend`` calls it.
    """

    name: ClassVar[str]

    @abstractmethod
    def defaults(
        self, preset: Mapping[str, object], given: Mapping[str, object]
    ) -> dict[str, object]:
        """What a preset comes to with this backend's networks.

        Args:
            preset: its settings.
            given: the settings that were named; they have the last word.
        """

    @abstractmethod
    def refusal(self, config: "GanConfig") -> str:
        """Why these networks cannot be trained so, in a sentence; empty when they can."""

    @abstractmethod
    def rates(self, config: "GanConfig") -> tuple[float, float]:
        """Adam's learning rates of generator and discriminator where none was named."""

    def source(self, config: "GanConfig") -> str:
        """What rows of generated images name as their source, after ``gan``."""
        return config.generator

    def description(self, settings: Mapping[str, Any]) -> str:
        """The networks in a few words, from a run's stored settings."""
        return (
            f"generator {settings['generator']}, discriminator {settings['discriminator']}, "
            f"augmentation {settings['augment']}"
        )

    @abstractmethod
    def generator(self, config: "GanConfig", classes: int) -> "GeneratorNetwork":
        """A generator with fresh weights from torch's default generator, told `classes` classes."""

    def stored_generator(
        self, stored: Mapping[str, Any], config: "GanConfig", classes: int
    ) -> "GeneratorNetwork":
        """The generator of a file's weights, which are still to be loaded.

        Args:
            stored: what the file holds.
            config: its settings.
            classes: number of classes that it is told.
        """
        return self.generator(config, classes)

    @abstractmethod
    def discriminator(self, config: "GanConfig", classes: int) -> "DiscriminatorNetwork":
        """A discriminator with fresh weights from torch's default generator."""

    @abstractmethod
    def objective(self, config: "GanConfig") -> "Objective":
        """What both networks are trained by."""
