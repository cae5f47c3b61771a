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
from hzsynth.gan.augmentation import BatchShare, DiscriminatorAugmentation
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import (
    DiscriminatorNetwork,
    GeneratorNetwork,
    Observation,
    ObservedImages,
)
from hzsynth.gan.latent import Latent, draw_latent
from hzsynth.gan.objectives import Objective, PathLengthPenalty
from hzsynth.gan.stylegan2 import mix_styles
from hzsynth.nets.loss_scaling import Descent
from hzsynth.nets.synchronised import synchronise_batch_norms

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
    betas: tuple[float, float],
    interval: int | None = None,
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
        discriminator: on the device, with its statistics fitted and its frozen blocks frozen.
        objective: what they are trained by.
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
        objective: Objective,
        config: GanConfig,
        augment: DiscriminatorAugmentation,
        compute: Compute,
        processes: Processes = ALONE,
    ) -> None:
        self.generator = generator.train()
        self.discriminator = discriminator.train()
        self.objective = objective
        self._config, self._augment, self._processes = config, augment, processes
        self._compute = compute
        self.share: BatchShare | None = None
        if processes.count > 1:
            # The path length may take half a batch.
            rows = processes.rows(config.batch, max(2, discriminator.compared_images))
            self.share = BatchShare(config.batch, rows)
            synchronise_batch_norms(generator, processes)
            synchronise_batch_norms(discriminator, processes)
        self._trained = discriminator.trained
        self.descend_generator, self.descend_discriminator = self._descents(generator)
        self._make: Callable[[Latent], torch.Tensor] = generator
        self._synthesise: Callable[..., torch.Tensor] = generator.synthesise
        if config.compile:
            # Only the adversarial step: what is compiled has no second derivatives for the path length.
            self._make = torch.compile(generator)
            self._synthesise = torch.compile(self._synthesise)

    def _descents(self, generator: GeneratorNetwork) -> tuple[Descent, Descent]:
        objective, betas = self.objective, self.objective.adam_betas
        intervals = (
            None if objective.path_length is None else objective.path_length.adam_interval,
            None if objective.separate_penalty is None else objective.separate_penalty.interval,
        )
        made, judged = (
            Descent(adam(weights, rate, betas, interval), self._compute, self._processes)
            for weights, rate, interval in zip(
                (list(generator.parameters()), self._trained),
                self._config.rates,
                intervals,
                strict=True,
            )
        )
        return made, judged

    def __call__(self, step: int, real: ObservedImages) -> dict[str, torch.Tensor]:
        """One update of both networks.

        Args:
            step: number of the step; all its random draws derive from it.
            real: what the discriminator is shown of the reals.

        Returns:
            Scalars to report: both losses, mean, spread and saturated share of the fakes.
        """
        objective = self.objective
        generator = torch_generator(self._config.seed, "gan-step", step)
        latent = self._latent(generator)
        with self._compute.autocast(), parametrize.cached():
            fakes = self._images(latent, generator)
        augmented = self._augment(fakes, generator, self.share)
        with self._judging():
            fake = ObservedImages(self.discriminator.observe(augmented), latent.classes)
        discriminator_loss = self._update_discriminator(step, real, fake)
        generator_loss = self._update_generator(fake)
        separate = objective.separate_penalty
        if separate is not None and separate.due(step):
            self.descend_discriminator(separate(self.discriminator, real, detached(fake)))
        if objective.path_length is not None and objective.path_length.due(step):
            self._update_path_length(objective.path_length, generator)
        return {
            "loss_discriminator": self._processes.mean(discriminator_loss),
            "loss_generator": self._processes.mean(generator_loss),
            **self._figures(fakes.detach()),
        }

    def _figures(self, fakes: torch.Tensor) -> dict[str, torch.Tensor]:
        mean, strength = self._processes.mean, self._augment.strength
        level = mean(fakes.mean())
        figures = {
            "fake_mean": level,
            "fake_spread": mean((fakes - level).square().mean()).sqrt(),
            "saturated": mean((fakes.abs() > SATURATED).float().mean()),
        }
        return figures if strength is None else {**figures, "augment_p": torch.tensor(strength.p)}

    def _judging(self) -> AbstractContextManager[None]:
        # On a CPU the small depthwise convolutions are slower in bf16 than in float32.
        return self._compute.autocast() if self._compute.device.type == "cuda" else nullcontext()

    def _latent(self, generator: torch.Generator, count: int | None = None) -> Latent:
        network = self.generator
        count = count or self._config.batch
        drawn = draw_latent(
            count, network.latent_width, network.noise_sizes, generator, network.classes
        )
        own = drawn if self.share is None else drawn.select(self._rows(count))
        return own.to(self._compute.device)

    def _rows(self, count: int) -> torch.Tensor:
        """Which of `count` images drawn for all processes are this one's."""
        if self.share is not None and count == self._config.batch:
            return self.share.rows
        return self._processes.rows(count)

    def _images(self, latent: Latent, generator: torch.Generator) -> torch.Tensor:
        network, mixed_share = self.generator, self._config.style_mixing
        if mixed_share == 0:
            return self._make(latent)
        count, device = self._config.batch, self._compute.device
        other = torch.randn(count, network.latent_width, generator=generator)
        crossover = torch.randint(1, network.layers, (count,), generator=generator)
        mixed = torch.rand(count, generator=generator) < mixed_share
        crossover = torch.where(mixed, crossover, network.layers)
        if self.share is not None:
            other, crossover = other[self.share.rows], crossover[self.share.rows]
        codes = mix_styles(
            network.codes(latent.z, latent.classes),
            network.codes(other.to(device), latent.classes),
            crossover.to(device),
        )
        return self._synthesise(codes, latent.noise, latent.classes)

    def _update_discriminator(
        self, step: int, real: ObservedImages, fake: ObservedImages
    ) -> torch.Tensor:
        shown = detached(fake)
        with self._judging(), parametrize.cached():
            real_logits = self.discriminator(real.observation, real.classes).float()
            fake_logits = self.discriminator(shown, fake.classes).float()
        self._augment.observe(self._processes.gathered(real_logits))
        loss = self.objective.loss.discriminator(real_logits, fake_logits)
        joined = self.objective.joined_penalty
        if joined is not None and joined.due(step):
            loss = loss + joined(self.discriminator, real, shown)
        self.descend_discriminator(loss)
        return loss.detach()

    def _update_generator(self, fake: ObservedImages) -> torch.Tensor:
        with frozen(self._trained):
            with self._judging(), parametrize.cached():
                logits = self.discriminator(fake.observation, fake.classes).float()
            loss = self.objective.loss.generator(logits)
            self.descend_generator(loss)
        return loss.detach()

    def _update_path_length(self, penalty: PathLengthPenalty, generator: torch.Generator) -> None:
        count = max(1, self._config.batch // penalty.batch_divisor)
        latent = self._latent(generator, count)
        codes = self.generator.codes(latent.z, latent.classes)
        images = self.generator.synthesise(codes, latent.noise, latent.classes)
        # Drawn for all processes, like every random number of a step.
        direction = torch.randn(count, *images.shape[1:], generator=generator)
        if self.share is not None:
            direction = direction[self._rows(count)]
        direction = direction.to(images.device)
        self.descend_generator(penalty(images, codes, direction, self._processes.mean))


def detached(shown: ObservedImages) -> Observation:
    """An observation through which nothing is taught."""
    return tuple(part.detach() for part in shown.observation)
