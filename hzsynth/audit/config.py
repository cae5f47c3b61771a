"""The settings of `gate.audit_images`; importing them costs no torch."""

from pydantic import Field

from hzsynth.core.config import Config


class AuditConfig(Config):
    """Settings of `audit_images`."""

    quantile: float = Field(
        0.05, gt=0, lt=0.5, description="quantile of the held-out distances that counts as near"
    )
    most_near: float = Field(
        3.0, ge=1, description="the gate fails above this many times the quantile's share"
    )
    level: float = Field(
        0.005, gt=0, lt=0.5, description="level of the tests of nearness and leaning"
    )
    most_leaning: float = Field(
        0.67,
        gt=0.5,
        lt=1,
        description="the gate fails when more of the leaning than this is surely on training patients",
    )
    lowest_c_t: float = Field(-3.0, lt=0, description="the gate fails below this C_T (z)")
    most_auc: float = Field(
        0.6, gt=0.5, lt=1, description="the gate fails when membership's AUC is surely above this"
    )
    most_dropped: float = Field(
        0.15,
        ge=0,
        lt=1,
        description="share of images beyond which leaving them out mends nothing: the generator leaks",
    )
    least_found: float = Field(
        0.2,
        gt=0,
        le=1,
        description="share of copies that the audit must be able to find: else passing is unsure",
    )
    size: int = Field(
        0, ge=0, le=512, description="side at which pictures are compared; 0: that of the smaller"
    )
    label: str | None = Field(None, description="only this class; by default all")
    gate_discriminator: bool = Field(
        False, description="count membership by the discriminator's score in the gate"
    )
    pairs: int = Field(24, ge=1, description="closest pairs on the contact sheet")
    seed: int = Field(
        0, ge=0, description="of the bootstrap, the control, and who stands for a patient"
    )
