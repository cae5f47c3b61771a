"""Settings of CycleGAN training, which a trained model carries, of transplants and of comparisons."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from hzsynth.core.config import Config

Upsampling = Literal["resize", "transposed"]
Output = Literal["residual", "published"]
Norm = Literal["none", "instance"]
Aim = Literal["tone", "cyclegan", "cut"]

WAYS = ("none", "mask", "blind", "contrast", "gated", "semantic")
"""How lesions can be kept: ``blind`` hides them from the discriminators, ``contrast`` holds their
structure and contrast (``mask`` is both), ``gated`` lets the network decide where it may change
anything but the global tone and teaches it to spare lesions, ``semantic`` holds what a frozen
classifier says."""


class CycleGanConfig(Config):
    """How lesions are mapped onto other skin; the defaults serve tens of images and minutes on a CPU.

    The default objective is no network but the map of tone that a network would start at: that one
    learns more on tens of photographs was not shown (``benchmarks/cyclegan_own_start.py``).
    As published: objective cyclegan, batch 1, width and discriminator_width 64, blocks 6 (9 above 128 px),
    upsampling transposed, output published, discriminator_norm
    instance, preserve none, tone_weight 0, shift 0, ema 0, identity_weight 5.
    """

    resolution: int = Field(64, ge=32, le=1024, multiple_of=16, description="side in pixels")
    steps: int = Field(4000, ge=1, description="optimiser steps")
    minutes: float | None = Field(
        None, gt=0, description="training time to spend instead of a number of steps"
    )
    batch: int = Field(2, ge=1, le=64, description="images of each domain in a step")
    width: int = Field(16, ge=4, le=256, description="channels of a generator's first layer")
    blocks: int = Field(3, ge=1, le=16, description="residual blocks of a generator")
    discriminator_width: int = Field(
        16, ge=4, le=256, description="channels of a discriminator's first layer"
    )
    discriminator_norm: Norm = Field(
        "none", description="instance as published, which hides the overall tone, or none"
    )
    upsampling: Upsampling = Field("resize", description="transposed as published, or resize")
    output: Output = Field("residual", description="published, or a change added to the image")
    residual_scale: Literal[1, 2, 4] = Field(
        2, description="reduction at which a residual change is computed"
    )
    objective: Aim = Field(
        "tone",
        description="tone: the map between the skin colours in closed form, nothing is trained; cyclegan: "
        "cycle and identity; cut: PatchNCE with one direction only",
    )
    preserve: str = Field(
        "mask", description=f"how lesions are kept: {', '.join(WAYS)}, or several with commas"
    )
    preserve_weight: float = Field(10.0, ge=0, description="weight of the preservation loss")
    gate_weight: float = Field(1.0, ge=0, description="weight of the gate's own loss")
    semantic_weight: float = Field(1.0, ge=0, description="weight of the classifier's agreement")
    against_hiding: Literal["none", "noise", "jpeg"] = Field(
        "none", description="what a translation goes through before it is translated back"
    )
    nce_weight: float = Field(1.0, ge=0, description="weight of PatchNCE; cut only")
    nce_locations: int = Field(256, ge=2, description="places a layer that PatchNCE compares")
    cycle_weight: float = Field(10.0, ge=0, description="weight of the cycle loss")
    identity_weight: float = Field(0.5, ge=0, description="weight of the identity loss")
    colour_start: bool = Field(
        True, description="start at the map between the skin colours; residual only"
    )
    tone_weight: float = Field(
        5.0, ge=0, description="weight of moving the skin's tone as far as the domains are apart"
    )
    learning_rate: float = Field(2e-4, gt=0, description="of Adam, before its decay")
    ema: float = Field(0.98, ge=0, lt=1, description="decay a step of the averaged generators")
    pool: int = Field(50, ge=0, description="earlier fakes shown to a discriminator")
    shift: float = Field(
        0.125, ge=0, lt=0.5, description="random shift of what the discriminators see"
    )
    snapshots: int = Field(8, ge=1, description="sample sheets in a run, at an even pace")
    checkpoint_seconds: float = Field(60.0, ge=0, description="state saved at least so often")
    seed: int = Field(0, ge=0, description="seed of weights and draws")

    @field_validator("preserve")
    @classmethod
    def _known_ways(cls, preserve: str) -> str:
        ways = [way.strip() for way in preserve.split(",")]
        wrong = [way for way in ways if way not in WAYS]
        if wrong or ("none" in ways and len(ways) > 1):
            raise ValueError(f"preserve is none, or of {', '.join(WAYS[1:])} one or several")
        return ",".join(dict.fromkeys(ways))

    @model_validator(mode="after")
    def _gate_needs_a_residual(self) -> Self:
        if self.keeps("gated") and self.output == "published":
            raise ValueError("preserve gated needs output residual: it gates the change")
        return self

    @model_validator(mode="after")
    def _a_tone_map_is_computed(self) -> Self:
        for name in ("steps", "minutes", "preserve"):
            default = type(self).model_fields[name].default
            if self.objective == "tone" and getattr(self, name) != default:
                raise ValueError(
                    f"{name} is for objective cyclegan or cut: objective tone computes a map of tone "
                    "and trains nothing"
                )
        return self

    def keeps(self, way: str) -> bool:
        """Whether lesions are kept in one of `WAYS`; mask stands for blind and contrast."""
        ways = self.preserve.split(",")
        return way in ways or (way in ("blind", "contrast") and "mask" in ways)

    @property
    def needs_masks(self) -> bool:
        """Whether training asks where the lesions are."""
        return any(self.keeps(way) for way in ("blind", "contrast", "gated"))


class TransplantConfig(Config):
    """Settings of `transplant_images`."""

    count: int = Field(200, ge=1, description="images to make")
    seed: int = Field(0, ge=0, description="of pairs, places, scales and turns")


FEWEST = 8
"""Photographs of a domain that a comparison needs."""


class ComparisonConfig(Config):
    """Settings of `compare`."""

    size: int = Field(0, ge=0, le=512, description="side of the pictures; 0: that of the model")
    largest: int = Field(150, ge=FEWEST, description="photographs of a domain at most")
    alternatives: bool = Field(True, description="beside no-op and the model also all others")
    seed: int = Field(0, ge=0, description="of draws")
