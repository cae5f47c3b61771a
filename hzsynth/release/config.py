"""The settings of `bundle.release_images`; importing them costs no torch."""

from pydantic import Field

from hzsynth.core.config import Config


class ReleaseConfig(Config):
    """Settings of `release_images`."""

    name: str = Field(
        "Synthetic dermatological images", min_length=1, description="title of the bundle"
    )
    contact: str = Field("", description="who answers questions and takes back the images")
    licence: str = Field("", description="terms of use; to be decided when empty")
    seed: int = Field(0, ge=0, description="seed of the images' new order")
