"""A full CycleGAN step against a plain float32 implementation of the published one.

Both sides train the published networks (Zhu et al. 2017: width 64, 6 residual blocks at 128 px and 9
above, instance norm, 70x70 PatchGANs, pool of 50, batch 1) with the published losses on the same
photographs. The plain side is what everybody writes first: contiguous layout, one pass a call, the
identity in passes of its own, and the discriminators computed on their inputs one at a time. It comes in
two forms: one makes the fakes that the discriminators learn from anew, the other (``fakes kept``)
keeps those that the generators learned from. hzsynth's side is the training loop of `hzsynth.cyclegan`, in
the precision that it chooses for this device, with its preparation of batches; what keeps lesions is switched
off, as the paper has none. A third case (``default networks``) has hzsynth's own defaults on that side, all
that keeps lesions included, without the tone's loss: what a user gets. Both stand at the smaller size only. Seconds are those of an image of each domain.
"""

import itertools
import sys

import torch
from common import Pair, measure_pairs, parse_fast, report
from torch import nn
from torch.nn import functional

from hzsynth.core.devices import Compute, choose_compute
from hzsynth.core.seeding import torch_generator
from hzsynth.cyclegan.adversaries import Adversaries
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.domains import Domain

GOAL = 2.0


def published_generator(width: int, blocks: int) -> nn.Sequential:
    """The ResNet generator as published, layer by layer."""
    layers: list[nn.Module] = [
        nn.ReflectionPad2d(3),
        nn.Conv2d(3, width, 7),
        nn.InstanceNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    for channels in (width, 2 * width):
        layers += [
            nn.Conv2d(channels, 2 * channels, 3, 2, 1),
            nn.InstanceNorm2d(2 * channels),
            nn.ReLU(inplace=True),
        ]
    layers += [PublishedBlock(4 * width) for _ in range(blocks)]
    for channels in (4 * width, 2 * width):
        layers += [
            nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, 1),
            nn.InstanceNorm2d(channels // 2),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())


class PublishedBlock(nn.Module):
    """A residual block as published."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """N x C x H x W -> the same shape."""
        return features + self.body(features)


def published_discriminator(width: int) -> nn.Sequential:
    """The 70x70 PatchGAN as published."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    for channels, stride in ((width, 2), (2 * width, 2), (4 * width, 1)):
        layers += [
            nn.Conv2d(channels, 2 * channels, 4, stride, 1),
            nn.InstanceNorm2d(2 * channels),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))


class PlainPool:
    """The pool of past fakes as published."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        self.size, self.generator = size, generator
        self.kept: list[torch.Tensor] = []

    def query(self, image: torch.Tensor) -> torch.Tensor:
        """The image or an earlier one."""
        if len(self.kept) < self.size:
            self.kept.append(image)
            return image
        if torch.rand((), generator=self.generator) < 0.5:
            return image
        place = int(torch.randint(self.size, (), generator=self.generator))
        old, self.kept[place] = self.kept[place], image
        return old


class PlainStep:
    """The published step in float32."""

    def __init__(
        self, config: CycleGanConfig, source: Domain, target: Domain, device: str, anew: bool
    ) -> None:
        self.anew = anew
        self.generators = [
            published_generator(config.width, config.blocks).to(device) for _ in range(2)
        ]
        self.discriminators = [
            published_discriminator(config.discriminator_width).to(device) for _ in range(2)
        ]
        self.optimisers = [
            torch.optim.Adam(
                itertools.chain(*(network.parameters() for network in networks)),
                lr=config.learning_rate,
                betas=(0.5, 0.999),
            )
            for networks in (self.generators, self.discriminators)
        ]
        self.draws = torch_generator(0, "plain")
        self.pools = [PlainPool(config.pool, self.draws) for _ in range(2)]
        self.domains, self.batch, self.device = (source, target), config.batch, device

    def batch_of(self, domain: Domain) -> torch.Tensor:
        """Images in [-1, 1], mirrored at random."""
        rows = torch.randint(len(domain.pixels), (self.batch,), generator=self.draws)
        images = domain.pixels[rows].to(self.device).float() / 127.5 - 1
        return images.flip(3) if torch.rand((), generator=self.draws) < 0.5 else images

    def step(self) -> None:
        """Both updates."""
        there, back = self.generators
        judge_target, judge_source = self.discriminators
        a, b = (self.batch_of(domain) for domain in self.domains)
        fake_b, fake_a = there(a), back(b)
        returned_a, returned_b = back(fake_b), there(fake_a)
        for network in self.discriminators:
            network.requires_grad_(False)
        loss = 5 * functional.l1_loss(there(b), b) + 5 * functional.l1_loss(back(a), a)
        loss = loss + adversarial(judge_target(fake_b), 1) + adversarial(judge_source(fake_a), 1)
        loss = loss + 10 * functional.l1_loss(returned_a, a)
        loss = loss + 10 * functional.l1_loss(returned_b, b)
        self.optimisers[0].zero_grad()
        loss.backward()
        self.optimisers[0].step()
        for network in self.discriminators:
            network.requires_grad_(True)
        self.optimisers[1].zero_grad()
        if self.anew:
            with torch.no_grad():
                fake_b, fake_a = there(a), back(b)
        pairs = (
            (judge_target, b, self.pools[0].query(fake_b.detach())),
            (judge_source, a, self.pools[1].query(fake_a.detach())),
        )
        for judge, real, fake in pairs:
            (0.5 * (adversarial(judge(real), 1) + adversarial(judge(fake), 0))).backward()
        self.optimisers[1].step()


def adversarial(judged: torch.Tensor, wanted: int) -> torch.Tensor:
    return (judged - wanted).square().mean()


def photographs(size: int, seed: int) -> Domain:
    pixels = torch.randint(
        0, 256, (8, 3, size, size), generator=torch_generator(seed, "bench"), dtype=torch.uint8
    )
    return Domain(pixels, torch.zeros(8, 1, size, size, dtype=torch.bool))


def published_config(size: int) -> CycleGanConfig:
    return CycleGanConfig(
        objective="cyclegan", resolution=size, batch=1, width=64, blocks=6 if size <= 128 else 9, discriminator_width=64,
        upsampling="transposed", output="published", discriminator_norm="instance",
        preserve="none", identity_weight=5.0, tone_weight=0.0, shift=0.0, ema=0.0,
    )  # fmt: skip


def measure(
    case: str, config: CycleGanConfig, anew: bool, repeats: int, compute: Compute
) -> list[Pair]:
    size = config.resolution
    steps = 2 if size <= 128 else 1
    source, target = photographs(size, 0), photographs(size, 1)
    adversaries, numbers = Adversaries(config, compute), itertools.count()
    plain = PlainStep(published_config(size), source, target, str(compute.device), anew)

    def ours() -> None:
        for _ in range(steps):
            adversaries.update(next(numbers), 0.0, source, target)

    def theirs() -> None:
        for _ in range(steps):
            plain.step()

    pairs = [
        Pair(case, pair.ours / (steps * config.batch), pair.theirs / steps)
        for pair in measure_pairs(case, ours, theirs, repeats)
    ]
    for pair in pairs:
        print(
            f"{pair.case}: {2 / pair.ours:.2f} images/s, plain {2 / pair.theirs:.2f}",
            file=sys.stderr,
            flush=True,
        )
    return pairs


def main() -> None:
    fast = parse_fast(str(__doc__))
    compute = choose_compute()
    sizes, repeats = ((128,), 2) if fast else ((128, 256), 4)
    pairs: list[Pair] = []
    for size in sizes:
        published = published_config(size)
        default = CycleGanConfig(objective="cyclegan", resolution=size)
        pairs += measure(f"{size} px", published, True, repeats, compute)
        if size == sizes[0]:
            pairs += measure(f"{size} px, fakes kept", published, False, repeats, compute)
            pairs += measure(f"{size} px, default networks", default, True, repeats, compute)
    claim = f"a full CycleGAN step of the published networks, {compute}, against plain float32"
    report("cyclegan_throughput", claim, GOAL, pairs, [f"{size} px" for size in sizes])


if __name__ == "__main__":
    main()
