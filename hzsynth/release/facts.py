"""What the texts of a release tell: the settings, the counts and the figures."""

from dataclasses import dataclass
from typing import Any

from hzsynth.audit.config import AuditConfig
from hzsynth.release.config import ReleaseConfig


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
