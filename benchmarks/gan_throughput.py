"""A training step of our GANs against the networks and losses of stylegan2-pytorch 1.9.0.

A full step is one update of the discriminator and one of the generator, batch 16, at 64 and 128
px, on noise (the speed does not depend on the photographs). Ours: the default preset (light
generator, projected discriminator, DiffAugment, the bank of real views with its share of a 20 kimg
run, the average) and the plain StyleGAN2 pair (R1 every 16th step). Theirs: what its trainer does by
default (gradient penalty every 4th step, no augmentation, no path length, which starts at step
5000), with its default networks, and with networks as narrow as our StyleGAN2 pair at every size:
the same arithmetic but for what each side leaves out.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from types import ModuleType

import torch
from common import Pair, report, seconds, write_rows
from torch.nn.utils import parametrize

from hzsynth.core.devices import Compute, choose_compute
from hzsynth.core.errors import InputError
from hzsynth.core.progress import SILENT
from hzsynth.gan.adversarial_step import AdversarialStep
from hzsynth.gan.augmentation import DiscriminatorAugmentation
from hzsynth.gan.backends import backend_named
from hzsynth.gan.backends.stylegan2_pytorch import StyleGAN2PyTorch
from hzsynth.gan.backends.stylegan2_pytorch.networks import (
    PackageDiscriminator,
    PackageGenerator,
    PackageSettings,
)
from hzsynth.gan.backends.stylegan2_pytorch.package import import_package
from hzsynth.gan.backends.stylegan2_pytorch.penalties import PackageGradientPenalty
from hzsynth.gan.config import GanConfig
from hzsynth.gan.latent import draw_latent
from hzsynth.gan.layers import trunk_widths
from hzsynth.gan.networks import build_discriminator, build_generator
from hzsynth.gan.penalties import LazyR1
from hzsynth.gan.real_views import LearnedImages, RealViews, prepare_discriminator, real_views
from hzsynth.gan.stylegan2 import stage_widths
from hzsynth.gan.view_bank import BANK_PART, TIMES_SHOWN, bank_size
from hzsynth.nets.ema import ExponentialMovingAverage

PHOTOGRAPHS = 32
DEFAULT, EQUAL = "its default networks", "its networks as narrow as ours"
GOALS = {("default", 64): 20.0, ("default", 128): 15.0, ("plain", 64): 8.0, ("plain", 128): 8.0}


@dataclass(frozen=True)
class Part:
    """What one part of a step takes.

    Attributes:
        network: whose.
        resolution: in pixels.
        name: what is done.
        seconds: median.
    """

    network: str
    resolution: int
    name: str
    seconds: float


class Ours:
    """One of our presets, as the training loop drives it."""

    def __init__(self, config: GanConfig, compute: Compute) -> None:
        self.config, self.compute = config, compute
        generator = torch.Generator().manual_seed(0)
        shape = (PHOTOGRAPHS, 3, config.resolution, config.resolution)
        pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        network, self.discriminator = build_generator(config), build_discriminator(config)
        prepare_discriminator(self.discriminator, LearnedImages(pixels), config)
        self.discriminator.to(compute.device)
        self.images = LearnedImages(pixels).to(compute.device)
        self.augment = DiscriminatorAugmentation(config)
        self.update = AdversarialStep(
            network.to(compute.device),
            self.discriminator,
            backend_named(config.backend).objective(config),
            config,
            self.augment,
            compute,
        )
        self.average = ExponentialMovingAverage(network)
        # A small bank: a step draws 16 of its views, however many there are.
        small = config.model_copy(update={"bank_views": 2 * BANK_PART})
        self.reals = RealViews(
            self.images, small, self.discriminator, self.augment, compute, SILENT
        )

    def step(self, number: int) -> None:
        """What the loop does between two reports."""
        self.update(number, self.reals.observation(number))
        self.average.update(self.update.generator, 0.995)

    @torch.no_grad()
    def observe_views(self) -> tuple[torch.Tensor, ...]:
        """One part of the bank."""
        generator = torch.Generator().manual_seed(1)
        before, _ = real_views(self.images, self.config.flip, self.augment, BANK_PART, generator)
        return self.discriminator.observe(before.augment(before.images))

    def seconds_a_step(self) -> float:
        """Mean over a run: with its share of the bank, of the bank's new views and of R1."""
        if not self.discriminator.has_frozen_features:
            ordinary = median(seconds(lambda: self.step(1)) for _ in range(3))
            lazy = seconds(lambda: self.step(0))
            return ordinary + (lazy - ordinary) / LazyR1.interval
        values = sum(part[0].numel() for part in self.observe_views())
        parts = bank_size(self.config, values) / BANK_PART / self.config.total_steps
        if parts:
            parts += self.config.batch / (TIMES_SHOWN * BANK_PART)
        step = median(seconds(lambda: self.step(1)) for _ in range(3))
        return step + parts * seconds(self.observe_views)

    def parts(self, name: str) -> list[Part]:
        """Median seconds of the step's parts."""
        network, judge = self.update.generator, self.discriminator
        drawn = draw_latent(
            self.config.batch, network.latent_width, network.noise_sizes, torch.Generator()
        ).to(self.compute.device)
        weights = list(network.parameters())
        judged = [p for p in judge.parameters() if p.requires_grad]

        def make() -> torch.Tensor:
            with self.compute.autocast(), parametrize.cached():
                return network(drawn)

        images = make()
        leaf = images.detach().requires_grad_()

        def made_and_back() -> None:
            torch.autograd.grad(make().square().mean(), weights)

        def judge_and_back(to: list[torch.Tensor]) -> Callable[[], object]:
            observation = [part.detach().requires_grad_() for part in judge.observe(leaf)]

            def run() -> None:
                with parametrize.cached():
                    logits = judge(observation)
                torch.autograd.grad(logits.mean(), to or observation)

            return run

        forward, both = middle(make), middle(made_and_back)
        found = {
            "generator forward": forward,
            "generator backward": both - forward,
            "trained discriminator, forward and backward to its weights": middle(
                judge_and_back(judged)
            ),
            "the same, backward to what it is shown": middle(judge_and_back([])),
            "reals of a step": middle(lambda: self.reals.observation(1)),
            "average": middle(lambda: self.average.update(network, 0.995)),
        }
        if judge.has_frozen_features:
            once = middle(lambda: judge.observe(leaf.detach()))
            back = middle(
                lambda: torch.autograd.grad(sum(p.mean() for p in judge.observe(leaf)), leaf)
            )
            found["observation of the fakes, forward"] = once
            found["observation of the fakes, backward"] = back - once
            found[f"bank, {self.config.batch} views"] = (
                middle(self.observe_views) * self.config.batch / BANK_PART
            )
        found["whole step"] = middle(lambda: self.step(1))
        return [Part(name, self.config.resolution, what, took) for what, took in found.items()]


class Theirs:
    """The package's networks, updated as its trainer does."""

    def __init__(
        self,
        package: ModuleType,
        generator: PackageSettings,
        discriminator: PackageSettings,
        batch: int,
        compute: Compute,
    ) -> None:
        self.package, self.batch, self.device = package, batch, compute.device
        self.generator = PackageGenerator(generator).to(self.device)
        self.network = PackageDiscriminator(discriminator).to(self.device).network
        self.optimisers = [
            torch.optim.Adam(network.parameters(), lr=rate, betas=StyleGAN2PyTorch.adam_betas)
            for network, rate in (
                (self.generator, StyleGAN2PyTorch.generator_rate),
                (self.network, StyleGAN2PyTorch.discriminator_rate),
            )
        ]
        side = generator.resolution
        self.resolution = side
        self.photographs = torch.rand(batch, 3, side, side, device=self.device)

    def make(self) -> torch.Tensor:
        """Images in about [0, 1]."""
        z = torch.randn(self.batch, self.generator.latent_width, device=self.device)
        side = self.resolution
        noise = torch.rand(self.batch, side, side, 1, device=self.device)
        w = self.package.latent_to_w(self.generator.mapping, [(z, self.generator.layers)])
        images: torch.Tensor = self.generator.synthesis(self.package.styles_def_to_tensor(w), noise)
        return images

    def step(self, number: int) -> None:
        """As the package's trainer: new fakes for each network."""
        penalised = number % PackageGradientPenalty.interval == 0
        fake = self.make().clone().detach().requires_grad_(penalised)
        real = self.photographs.clone().requires_grad_(penalised)
        judged_fake, judged_real = self.network(fake)[0], self.network(real)[0]
        loss = self.package.hinge_loss(judged_fake, judged_real)
        if penalised:
            loss = loss + self.package.gradient_penalty(real, judged_real)
            loss = loss + self.package.gradient_penalty(fake, judged_fake)
        self.optimisers[1].zero_grad()
        loss.backward()
        self.optimisers[1].step()
        self.optimisers[0].zero_grad()
        self.package.gen_hinge_loss(self.network(self.make())[0], None).backward()
        self.optimisers[0].step()

    def seconds_a_step(self) -> float:
        """Mean over a run: every fourth step has the gradient penalty."""
        ordinary, penalised = seconds(lambda: self.step(1)), seconds(lambda: self.step(0))
        return ordinary + (penalised - ordinary) / PackageGradientPenalty.interval

    def parts(self, name: str) -> list[Part]:
        """Seconds of the step's parts, once each: they take long."""
        weights = list(self.generator.parameters())
        images = self.make().detach()
        forward = seconds(self.make)
        both = seconds(
            lambda: torch.autograd.grad(self.make().square().mean(), weights, allow_unused=True)
        )
        found = {
            "generator forward": forward,
            "generator backward": both - forward,
            "trained discriminator, forward and backward to its weights": seconds(
                lambda: torch.autograd.grad(
                    self.network(images)[0].mean(), list(self.network.parameters())
                )
            ),
            "whole step": seconds(lambda: self.step(1)),
            "whole step with gradient penalty": seconds(lambda: self.step(0)),
        }
        return [Part(name, self.resolution, what, took) for what, took in found.items()]


def middle(function: Callable[[], object], repeats: int = 5) -> float:
    """Median seconds, after a first call."""
    function()
    return median(seconds(function) for _ in range(repeats))


def as_wide_as_ours(resolution: int) -> tuple[PackageSettings, PackageSettings]:
    """Settings that give the widths of our StyleGAN2 pair at every size, 256 at most."""
    generator, discriminator = (
        widths(resolution, 1.0)[resolution] for widths in (trunk_widths, stage_widths)
    )
    common = {"latent_width": 128, "mapping_layers": 2, "widest": 256}
    return (
        PackageSettings(resolution, capacity=generator // 2, **common),
        PackageSettings(resolution, capacity=discriminator // 4, **common),
    )


def write_parts(resolution: int, parts: list[Part]) -> None:
    write_rows(
        f"gan_throughput_parts-{resolution}",
        [
            {
                "network": part.network,
                "resolution": part.resolution,
                "part": part.name,
                "seconds": f"{part.seconds:.5f}",
                "threads": torch.get_num_threads(),
            }
            for part in parts
        ],
    )


def measure(
    package: ModuleType, resolution: int, batch: int, repeats: int, compute: Compute, fast: bool
) -> tuple[list[tuple[str, str, Pair]], list[Part]]:
    """Pairs with our preset and their networks, and the parts of every side's step."""
    plain = {"generator": "stylegan2", "discriminator": "stylegan2"}
    ours = {
        "default": Ours(GanConfig(resolution=resolution, batch=batch), compute),
        "plain": Ours(GanConfig(resolution=resolution, batch=batch, **plain), compute),
    }
    default = PackageSettings(resolution)
    theirs = {DEFAULT: Theirs(package, default, default, batch, compute)}
    if not fast:
        narrow = as_wide_as_ours(resolution)
        theirs[EQUAL] = Theirs(package, *narrow, batch, compute)
    for side in (*ours.values(), *theirs.values()):
        side.step(0)
        side.step(1)
    pairs: list[tuple[str, str, Pair]] = []
    for _ in range(repeats):
        for against, other in theirs.items():
            # Theirs between both of ours, a neighbour in time of each.
            light, took, plain_pair = (
                side.seconds_a_step() for side in (ours["default"], other, ours["plain"])
            )
            for preset, own in (("default", light), ("plain", plain_pair)):
                pair = Pair(f"{preset}, {resolution} px, against {against}", own, took)
                pairs.append((preset, against, pair))
                print(
                    f"{pair.case}: {batch / own:.2f} images/s ({1000 * own / batch:.1f} s/kimg) "
                    f"against {batch / took:.2f}, {pair.ratio:.1f} times",
                    file=sys.stderr,
                    flush=True,
                )
    sides = {} if fast else {**ours, **theirs}
    return pairs, [part for name, side in sides.items() for part in side.parts(name)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="64 px, batch 8, one pair")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    fast = options.fast
    try:
        package = import_package()
    except InputError as error:
        print(f"gan_throughput: nothing to compare with, {error}", file=sys.stderr)
        sys.exit(0 if fast else 2)
    compute = choose_compute()
    print(f"{compute}, {torch.get_num_threads()} threads", file=sys.stderr)
    sizes = (64,) if fast else tuple(options.sizes)
    batch, repeats = (8, 1) if fast else (16, options.repeats)
    for resolution in sizes:
        pairs, parts = measure(package, resolution, batch, repeats, compute, fast)
        if parts:
            write_parts(resolution, parts)
        for against in (EQUAL, DEFAULT):
            for preset in ("plain", "default"):
                chosen = [p for own, other, p in pairs if (own, other) == (preset, against)]
                if chosen:
                    which = "" if against == DEFAULT else "-equal"
                    report(
                        f"gan_throughput-{preset}{which}-{resolution}",
                        f"training step at {resolution} px, {preset} preset over stylegan2-pytorch's "
                        f"({against}), batch {batch}, {torch.get_num_threads()} threads",
                        GOALS.get((preset, resolution), 8.0),
                        chosen,
                    )


if __name__ == "__main__":
    main()
