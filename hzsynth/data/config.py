"""The settings of the stages on photographs; importing them costs no numpy."""

from typing import Literal

from pydantic import Field, field_validator

from hzsynth.core.config import Config

Conflicts = Literal["refuse", "drop", "majority"]
"""What `deduplicate` does with copies that have different labels."""

Form = Literal["webdataset", "parquet"]
"""The files that `export_set` writes."""

Cohort = Literal["western", "korean"]
"""Whose skin, and whose camera, the phantom shows."""

_DEFAULT_PATIENTS = {
    "cellulitis": 20,
    "contact_dermatitis": 24,
    "eczema": 24,
    "herpes_zoster": 20,
    "insect_bite": 20,
    "normal": 24,
}
LABELS = tuple(sorted(_DEFAULT_PATIENTS))
"""The classes of the phantom."""


class PreprocessConfig(Config):
    """Settings of the stage `preprocess_images`."""

    size: int = Field(224, ge=16, le=2048, description="side of the square result, pixels")
    crop: Literal["center", "lesion"] = Field(
        "center", description="the central square, or the square around the lesion"
    )
    color: Literal["none", "shades-of-gray", "standardise"] = Field(
        "none",
        description=(
            "shades-of-gray divides the estimated colour of the light out (a picture that shows "
            "nothing but skin turns grey); standardise gives every photograph the mean and "
            "spread of the set's typical one"
        ),
    )
    color_space: Literal["rgb", "hsv"] = Field(
        "rgb", description="of standardise; hsv leaves the hue alone"
    )
    remove_annotations: Literal["no", "inpaint", "crop"] = Field(
        "no",
        description=(
            "logos, text, rulers and pen marks: inpaint them; or crop caption strips away and "
            "inpaint the rest"
        ),
    )


class PhantomConfig(Config):
    """Settings of `import_phantom`."""

    seed: int = Field(0, description="every patient and photograph follows from it")
    size: int = Field(128, ge=16, le=1024, description="width and height of an image, pixels")
    patients: dict[str, int] = Field(
        default_factory=lambda: dict(_DEFAULT_PATIENTS),
        description="patients a class; a class that is left out has none",
    )
    cohorts: tuple[Cohort, ...] = Field(
        ("western",), min_length=1, description="patients are spread evenly over these cohorts"
    )
    logo_share: float = Field(
        0.25, ge=0, le=1, description="share of disease images with an archive's logo"
    )
    duplicates: int = Field(0, ge=0, description="near-duplicate copies that are added")

    @field_validator("patients")
    @classmethod
    def _known_classes(cls, patients: dict[str, int]) -> dict[str, int]:
        unknown = sorted(set(patients) - set(LABELS))
        if unknown or not patients or min(patients.values()) < 0 or not sum(patients.values()):
            raise ValueError(
                f"patients maps some of {', '.join(LABELS)} to counts of at least 0, not all 0"
            )
        return patients
