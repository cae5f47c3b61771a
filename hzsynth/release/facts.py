"""What the texts of a release tell: the settings, the counts and the figures."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from hzsynth.audit.gate import AuditConfig
from hzsynth.core.config import Config


class ReleaseConfig(Config):
    """Settings of `release_images`."""

    name: str = Field("Synthetic dermatological images", min_length=1, description="title")
    contact: str = Field("", description="who answers questions and takes back the images")
    licence: str = Field("", description="terms of use; to be decided when empty")
    seed: int = Field(0, ge=0, description="of the images' new order")


@dataclass(frozen=True)
class Facts:
    """What card and checklist tell.

    Attributes:
        config: title, contact and licence.
        audited: generated images that were audited.
        left_out: images on the audit's drop list.
        classes: released images by class.
        sizes: width and height of the released images, smallest and largest.
        metrics: content of ``metrics.json``.
    """

    config: ReleaseConfig
    audited: int
    left_out: int
    classes: dict[str, int]
    sizes: tuple[tuple[int, int], ...]
    metrics: dict[str, Any]

    @property
    def released(self) -> int:
        """Images in the bundle."""
        return sum(self.classes.values())

    @property
    def changed_settings(self) -> list[str]:
        """Settings of the gate that were not the usual ones, each with the usual value."""
        audit = self.metrics["audit"]
        usual = AuditConfig().model_dump(mode="json")
        return [f"{k} {audit['gate'][k]} ({usual[k]})" for k in audit["changed_gate_settings"]]
