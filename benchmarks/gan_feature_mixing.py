"""Cross-channel and cross-scale mixing of the projected discriminator, at equal steps.

Sauer et al. 2021 (arXiv:2111.01007, sections 3.2 and 4) mix the frozen features by fixed random
projections before they are judged: a 1 x 1 convolution of every map, and a way from the coarsest
map to the finest that adds them up (bilinear doubling and random 3 x 3 convolutions). hzsynth's own
discriminator judges the standardised maps themselves. Both sides here have the same generator,
steps, batch, augmentation, seeds and head widths; judged is KID of the averaged generator to
photographs that it did not learn from, in two networks' features that no discriminator uses.
Without --data the photographs are phantoms.
"""

import argparse
import itertools
from pathlib import Path
from statistics import mean

import torch
from common import photographs, write_rows
from torch import nn
from torch.nn import functional

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT
from hzsynth.core.seeding import torch_generator
from hzsynth.data.loading import load_pixels
from hzsynth.gan.adversarial_step import AdversarialStep
from hzsynth.gan.augmentation import DiscriminatorAugmentation
from hzsynth.gan.backends import backend_named
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import DiscriminatorNetwork, Observation
from hzsynth.gan.networks import build_generator, own_initial_weights, to_float
from hzsynth.gan.projected_discriminator import (
    HEAD_WIDTHS,
    SMALLEST_VARIANCE,
    ProjectedDiscriminator,
    _feature_head,
)
from hzsynth.gan.real_views import LearnedImages, RealViews, prepare_discriminator
from hzsynth.gan.trained_generator import TrainedGenerator
from hzsynth.nets.ema import ExponentialMovingAverage
from hzsynth.score.extractors import create_extractor
from hzsynth.score.metrics.kid import kid_of_all

SPACES = ("efficientnet-lite1", "efficientnet-lite2")
MIXED_WIDTHS = (64, 128, 256, 512)
SAMPLES = 128


class MixedDiscriminator(ProjectedDiscriminator):
    """The projected discriminator with the paper's random projections of the frozen features."""

    def __init__(self, multiplier: float, size: int) -> None:
        super().__init__(multiplier, size)
        self.across_channels = nn.ModuleList(
            nn.Conv2d(c, w, 1, bias=False)
            for c, w in zip(self.features.channels, MIXED_WIDTHS, strict=True)
        )
        self.across_scales = nn.ModuleList(
            nn.Conv2d(coarse, fine, 3, padding=1, bias=False)
            for fine, coarse in itertools.pairwise(MIXED_WIDTHS)
        )
        for convolution in (*self.across_channels, *self.across_scales):
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="linear")
            convolution.requires_grad_(False)
        widths = [max(8, round(w * multiplier)) for w in HEAD_WIDTHS]
        self.heads = nn.ModuleList(
            _feature_head(c, w, downs, 0)
            for c, w, downs in zip(MIXED_WIDTHS, widths, (3, 2, 1, 0), strict=True)
        )
        self.ranges = [torch.tensor([0.0, 1.0]) for _ in MIXED_WIDTHS]

    @torch.no_grad()
    def fit_statistics(self, images: torch.Tensor) -> None:
        """Of the maps before the projections, a channel each, and after them, a map each."""
        super().fit_statistics(images)
        parts = [self._mixed(super(MixedDiscriminator, self).observe(p)) for p in images.split(32)]
        for level in range(len(MIXED_WIDTHS)):
            variance, centre = torch.var_mean(torch.cat([part[level] for part in parts]))
            self.ranges[level] = torch.stack([centre, torch.rsqrt(variance + SMALLEST_VARIANCE)])

    def _mixed(self, observation: Observation) -> list[torch.Tensor]:
        maps = [mix(m) for mix, m in zip(self.across_channels, observation[:4], strict=True)]
        for level in (2, 1, 0):
            size = maps[level].shape[-2:]
            coarse = functional.interpolate(
                maps[level + 1], size, mode="bilinear", align_corners=False
            )
            maps[level] = maps[level] + self.across_scales[level](coarse)
        return maps

    def observe(self, images: torch.Tensor) -> Observation:
        """Four projected maps, then the pixels."""
        observation = super().observe(images)
        scaled = [
            (m - r[0]) * r[1] for m, r in zip(self._mixed(observation), self.ranges, strict=True)
        ]
        return (*scaled, observation[-1])


def discriminator_of(config: GanConfig, mixed: bool) -> DiscriminatorNetwork:
    """Ours, or the one with projections, their weights from the same seed."""
    kind = MixedDiscriminator if mixed else ProjectedDiscriminator
    with own_initial_weights(config.seed, "discriminator"):
        network = kind(config.channel_multiplier, config.feature_size)
    network.to(memory_format=torch.channels_last)
    return network


def samples_of(pixels: torch.Tensor, config: GanConfig, mixed: bool) -> torch.Tensor:
    """What the averaged generator makes after all steps."""
    learned = LearnedImages(pixels)
    generator = build_generator(config)
    generator.set_colour(to_float(pixels).mean(dim=(0, 2, 3)))
    discriminator = discriminator_of(config, mixed)
    prepare_discriminator(discriminator, learned, config)
    augment = DiscriminatorAugmentation(config)
    objective = backend_named(config.backend).objective(config)
    step = AdversarialStep(generator, discriminator, objective, config, augment, CPU_FP32)
    views = RealViews(learned, config, discriminator, augment, CPU_FP32, SILENT)
    average = ExponentialMovingAverage(generator)
    for number in range(config.total_steps):
        step(number, views.observation(number))
        average.update(generator, min(config.ema, (1 + number) / (10 + number)))
    return TrainedGenerator(average.module).sample(range(SAMPLES))


def halves(images: ImageSet, label: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Photographs to learn from, and others of other patients."""
    records = list(images.select(label=label))
    patients = sorted({record.patient for record in records})
    order = torch.randperm(len(patients), generator=torch_generator(0, "gan-feature-mixing"))
    learned = {patients[i] for i in order[: len(patients) // 2].tolist()}
    parts = [[r for r in records if (r.patient in learned) == own] for own in (True, False)]
    first, second = (load_pixels(images.replace_records(part), size) for part in parts)
    return first, second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="16 px, a few steps")
    parser.add_argument("--data", type=Path, help="folder of class folders")
    parser.add_argument("--out", type=Path, default=Path("runs/gan-feature-mixing"))
    parser.add_argument("--label", default="herpes_zoster")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--feature-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    size, steps = (16, 4) if options.fast else (options.size, options.steps)
    options.out.mkdir(parents=True, exist_ok=True)
    pixels, unseen = halves(photographs(options.data, options.out), options.label, size)
    spaces = [create_extractor(name, compute=CPU_FP32) for name in SPACES]
    rows: list[dict[str, object]] = []
    for seed in range(1 if options.fast else options.seeds):
        for mixed in (False, True):
            config = GanConfig.from_sources(
                None,
                {
                    "resolution": size,
                    "kimg": steps * 16 / 1000,
                    "feature_size": options.feature_size,
                    "seed": seed,
                },
            )
            samples = samples_of(pixels, config, mixed)
            for space in spaces:
                kid = kid_of_all(space(unseen), space(samples))
                rows.append(
                    {
                        "size": size,
                        "steps": steps,
                        "feature_size": options.feature_size,
                        "photographs": len(pixels),
                        "seed": seed,
                        "mixed": mixed,
                        "space": space.name,
                        "kid": round(kid.value, 4),
                        "error": round(kid.error, 4),
                    }
                )
                print(rows[-1], flush=True)
    write_rows("gan_feature_mixing", rows)
    for space in SPACES:
        found = [
            mean(float(str(r["kid"])) for r in rows if r["space"] == space and r["mixed"] == mixed)
            for mixed in (False, True)
        ]
        print(f"{space}: KID {found[0]:.3f} as it is, {found[1]:.3f} mixed")


if __name__ == "__main__":
    main()
