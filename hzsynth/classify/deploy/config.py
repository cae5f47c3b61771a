"""The settings of an export; nothing here needs torch."""

from pydantic import Field

from hzsynth.core.config import Config


class ExportConfig(Config):
    """Settings of an export."""

    int8: bool = Field(False, description="Also write a classifier in 8 bits.")
    tolerance: float = Field(
        0.02, ge=0, le=1, description="Drop of accuracy or F1 that 8 bits may cost."
    )
    threads: int = Field(1, ge=1, description="Threads of onnxruntime while it is timed.")
