"""One adversarial update: the fakes are made and observed once, and serve D, then G.

The discriminator learns from the detached observation; the generator then from the same
observation through the updated discriminator. This halves the work of the generator and of
the frozen network against separate passes.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.utils import parametrize

from hzsynth.core.devices import Compute
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.seeding import torch_generator
from hzsynth.gan import losses, lucidrains
from hzsynth.gan.augmenting import Augmenter, Share
from hzsynth.gan.config import GanConfig
from hzsynth.gan.latent import Latent, draw_latent
from hzsynth.gan.lucidrains import LucidrainsGenerator
from hzsynth.gan.networks import DiscriminatorNetwork, GeneratorNetwork, StyledGenerator
from hzsynth.gan.projected import Observation
from hzsynth.gan.reals import Seen
from hzsynth.gan.stylegan2 import (
    STDDEV_GROUP,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    mix_styles,
)
from hzsynth.nets.loss_scaling import Descent
from hzsynth.nets.synchronised import synchronise_batch_norms

R1_INTERVAL = 16
PATH_LENGTH_INTERVAL = 4
SATURATED = 0.98
"""Absolute value in [-1, 1] beyond which a pixel channel counts as saturated."""


@contextmanager
def frozen(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Inside, no gradients are computed for these weights."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def adam(
    parameters: list[nn.Parameter],
    rate: float,
    interval: int | None,
    betas: tuple[float, float] = (0.0, 0.99),
) -> torch.optim.Adam:
    """Adam; with lazy regularisation every `interval` steps, corrected for it.

    The correction (arXiv:1912.04958, appendix B) keeps the effective rate of the main loss when
    the regulariser's own updates are counted in.
    """
    share = 1.0 if interval is None else interval / (interval + 1)
    return torch.optim.Adam(
        parameters, lr=rate * share, betas=(betas[0] ** share, betas[1] ** share), fused=True
    )


class AdversarialStep:
    """Generator, discriminator and their optimisers, and how they are updated.

    Args:
        generator: on the device.
        discriminator: on the device, with its statistics fitted.
        config: the run's settings.
        augment: what is done to images before the discriminator sees them.
        compute: where and in which precision.
        processes: that train together: each computes its share of every batch.

    Attributes:
        share: this process's part of every batch, None if it is alone.
        descend_generator: steps of the generator's weights.
        descend_discriminator: steps of the discriminator's weights.

    Raises:
        InputError: the batch cannot be shared equally.
    """

    def __init__(
        self,
        generator: GeneratorNetwork,
        discriminator: DiscriminatorNetwork,
        config: GanConfig,
        augment: Augmenter,
        compute: Compute,
        processes: Processes = ALONE,
    ) -> None:
        self.generator = generator.train()
        self.discriminator = discriminator.train()
        self._config, self._augment, self._processes = config, augment, processes
        self.share: Share | None = None
        if processes.count > 1:
            compared = isinstance(discriminator, StyleGAN2Discriminator)
            # The path length takes half a batch.
            rows = processes.rows(config.batch, STDDEV_GROUP if compared else 2)
            self.share = Share(config.batch, rows)
            synchronise_batch_norms(generator, processes)
            synchronise_batch_norms(discriminator, processes)
        self._compute = compute
        self._r1 = isinstance(discriminator, StyleGAN2Discriminator) and config.gamma > 0
        self._path_length = config.path_length_weight > 0
        self._trained = [p for p in discriminator.parameters() if p.requires_grad]
        self._theirs = config.backend == "stylegan2-pytorch"
        self._hinge = self._theirs or config.discriminator == "projected"
        betas = lucidrains.ADAM_BETAS if self._theirs else (0.0, 0.99)
        generator_rate, discriminator_rate = config.rates
        optimiser = adam(
            list(generator.parameters()),
            generator_rate,
            PATH_LENGTH_INTERVAL if self._path_length else None,
            betas,
        )
        self.descend_generator = Descent(optimiser, compute, processes)
        optimiser = adam(
            self._trained, discriminator_rate, R1_INTERVAL if self._r1 else None, betas
        )
        self.descend_discriminator = Descent(optimiser, compute, processes)
        self.mean_path_length = torch.zeros((), device=compute.device)
        # Only the adversarial step: what is compiled has no second derivatives for the path length.
        self._make: Callable[[Latent], torch.Tensor] = generator
        self._synthesise: Callable[..., torch.Tensor] | None = (
            generator.synthesise if isinstance(generator, StyledGenerator) else None
        )
        if config.compile:
            self._make = torch.compile(generator)
            if self._synthesise is not None:
                self._synthesise = torch.compile(self._synthesise)

    def __call__(self, step: int, real: Seen) -> dict[str, torch.Tensor]:
        """One update of both networks.

        Args:
            step: number of the step; all its random draws derive from it.
            real: what the discriminator is shown of the reals.

        Returns:
            Scalars to report: both losses, mean, spread and saturated share of the fakes.
        """
        generator = torch_generator(self._config.seed, "gan-step", step)
        latent = self._latent(generator)
        with self._compute.autocast(), parametrize.cached():
            fakes = self._images(latent, generator)
        seen = self._augment(fakes, generator, self.share)
        with self._judging():
            fake = Seen(self.discriminator.observe(seen), latent.classes)
        penalised = self._theirs and step % lucidrains.GRADIENT_PENALTY_INTERVAL == 0
        discriminator_loss = self._update_discriminator(real, fake, penalised)
        generator_loss = self._update_generator(fake)
        if self._r1 and step % R1_INTERVAL == 0:
            self._update_r1(real)
        if self._path_length and step % PATH_LENGTH_INTERVAL == 0:
            self._update_path_length(generator)
        if self._theirs and self._their_path_length_is_due(step):
            self._update_their_path_length(generator)
        mean = self._processes.mean
        flat = fakes.detach()
        level = mean(flat.mean())
        strength = self._augment.strength
        extra = {} if strength is None else {"augment_p": torch.tensor(strength.p)}
        return {
            **extra,
            "loss_discriminator": mean(discriminator_loss),
            "loss_generator": mean(generator_loss),
            "fake_mean": level,
            "fake_spread": mean((flat - level).square().mean()).sqrt(),
            "saturated": mean((flat.abs() > SATURATED).float().mean()),
        }

    def _judging(self) -> AbstractContextManager[None]:
        # On a CPU the small depthwise convolutions are slower in bf16 than in float32.
        return self._compute.autocast() if self._compute.device.type == "cuda" else nullcontext()

    def _latent(self, generator: torch.Generator, count: int | None = None) -> Latent:
        network = self.generator
        count = count or self._config.batch
        drawn = draw_latent(
            count, network.latent_width, network.noise_sizes, generator, network.classes
        )
        if self.share is not None:
            whole = count == self._config.batch
            drawn = drawn.select(self.share.rows if whole else self._processes.rows(count))
        return drawn.to(self._compute.device)

    def _images(self, latent: Latent, generator: torch.Generator) -> torch.Tensor:
        network, share = self.generator, self._config.style_mixing
        if not (isinstance(network, StyledGenerator) and self._synthesise and share > 0):
            return self._make(latent)
        count = self._config.batch
        other = torch.randn(count, network.latent_width, generator=generator)
        crossover = torch.randint(1, network.layers, (count,), generator=generator)
        mixed = torch.rand(count, generator=generator) < share
        crossover = torch.where(mixed, crossover, network.layers)
        if self.share is not None:
            other, crossover = other[self.share.rows], crossover[self.share.rows]
        crossover = crossover.to(latent.z.device)
        classes = latent.classes
        w = mix_styles(
            network.styles(latent.z, classes),
            network.styles(other.to(latent.z.device), classes),
            crossover,
        )
        return self._synthesise(w, latent.noise)

    def _update_discriminator(self, real: Seen, fake: Seen, penalised: bool) -> torch.Tensor:
        detached: Observation = tuple(part.detach() for part in fake.observation)
        with self._judging(), parametrize.cached():
            real_logits = self.discriminator(real.observation, real.classes).float()
            fake_logits = self.discriminator(detached, fake.classes).float()
        self._augment.observe(self._processes.gathered(real_logits))
        if self._hinge:
            loss = losses.hinge_discriminator_loss(real_logits, fake_logits)
        else:
            loss = losses.logistic_discriminator_loss(real_logits, fake_logits)
        if penalised:
            shown = real.observation[0], detached[0]
            loss = loss + lucidrains.gradient_penalty(self.discriminator, *shown)
        self.descend_discriminator(loss)
        return loss.detach()

    def _update_generator(self, fake: Seen) -> torch.Tensor:
        with frozen(self._trained):
            with self._judging(), parametrize.cached():
                logits = self.discriminator(fake.observation, fake.classes).float()
            if self._hinge:
                loss = losses.hinge_generator_loss(logits)
            else:
                loss = losses.logistic_generator_loss(logits)
            self.descend_generator(loss)
        return loss.detach()

    def _update_r1(self, real: Seen) -> None:
        images = real.observation[0].detach().requires_grad_()
        penalty = losses.r1_penalty(self.discriminator((images,), real.classes), images)
        self.descend_discriminator(penalty * (self._config.gamma / 2 * R1_INTERVAL))

    def _update_path_length(self, generator: torch.Generator) -> None:
        network = self.generator
        assert isinstance(network, StyleGAN2Generator)  # the configuration sees to it
        count = max(1, self._config.batch // 2)
        latent = self._latent(generator, count)
        w = network.styles(latent.z, latent.classes)
        images = network.synthesise(w, latent.noise)
        direction = self._direction(images, count, generator)
        lengths = losses.path_lengths(images, w, direction)
        penalty, self.mean_path_length = losses.path_length_penalty(
            lengths, self.mean_path_length, now=self._processes.mean(lengths.mean())
        )
        weight = self._config.path_length_weight * PATH_LENGTH_INTERVAL
        self.descend_generator(penalty * weight)

    def _direction(
        self, images: torch.Tensor, count: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Standard normal images, drawn for all processes."""
        drawn = torch.randn(count, *images.shape[1:], generator=generator)
        if self.share is not None:
            drawn = drawn[self._processes.rows(count)]
        return drawn.to(images.device)

    def _their_path_length_is_due(self, step: int) -> bool:
        return step > lucidrains.PATH_LENGTH_START and step % lucidrains.PATH_LENGTH_INTERVAL == 0

    def _update_their_path_length(self, generator: torch.Generator) -> None:
        network = self.generator
        assert isinstance(network, LucidrainsGenerator)  # the configuration sees to it
        latent = self._latent(generator)
        w = network.styles(latent.z)
        images = network.synthesise(w, latent.noise)
        direction = self._direction(images, self._config.batch, generator)
        penalty, self.mean_path_length = lucidrains.path_length_penalty(
            images, w, direction, self.mean_path_length
        )
        self.descend_generator(penalty)
