"""The settings of the demo; importing them costs no torch."""

from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.demo.scale import FAST, FULL, Scale


class DemoConfig(Config):
    """Settings of the demo."""

    fast: bool = Field(False, description="everything at its smallest, for a check of the path")
    seed: int = Field(0, ge=0, description="root of all random draws")

    @property
    def scale(self) -> Scale:
        """The sizes of every stage."""
        return FAST if self.fast else FULL
