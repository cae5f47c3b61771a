"""Settings of CycleGAN training; a trained model carries them."""

from typing import Literal

from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.cyclegan.networks import Norm, Output, PatchDiscriminator, ResnetGenerator, Upsampling


class CycleGanConfig(Config):
    """How CycleGAN is trained; the defaults serve tens of images and minutes on a CPU.

    As published: batch 1, width and discriminator_width 64, blocks 6 (9 above 128 px),
    upsampling transposed, output published, discriminator_norm
    instance, preserve none, shift 0, ema 0, identity_weight 5.
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
    preserve: Literal["none", "mask"] = Field("mask", description="how lesions are kept")
    preserve_weight: float = Field(10.0, ge=0, description="weight of the preservation loss")
    cycle_weight: float = Field(10.0, ge=0, description="weight of the cycle loss")
    identity_weight: float = Field(0.5, ge=0, description="weight of the identity loss")
    colour_start: bool = Field(
        True, description="start at the difference of the typical skin colours; residual only"
    )
    learning_rate: float = Field(2e-4, gt=0, description="of Adam, before its decay")
    ema: float = Field(0.98, ge=0, lt=1, description="decay a step of the averaged generators")
    pool: int = Field(50, ge=0, description="earlier fakes shown to a discriminator")
    shift: float = Field(
        0.125, ge=0, lt=0.5, description="random shift of what the discriminators see"
    )
    snapshots: int = Field(8, ge=1, description="sample sheets and checkpoints in a run")
    seed: int = Field(0, ge=0, description="seed of weights and draws")

    def generator(self) -> ResnetGenerator:
        """A generator of this form."""
        scale = self.residual_scale if self.output == "residual" else 1
        return ResnetGenerator(self.width, self.blocks, self.upsampling, self.output, scale)

    def discriminator(self) -> PatchDiscriminator:
        """A discriminator of this form."""
        return PatchDiscriminator(self.discriminator_width, self.discriminator_norm)
