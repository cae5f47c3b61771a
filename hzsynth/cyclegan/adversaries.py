"""The two sides of a translation's training, generators and discriminators, and one update of both.

Every random draw of a step follows from the seed and the step's number. Several processes draw the same
batch and compute a share of it each; their shifts, noise and pools are their own.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from hzsynth.core.devices import Compute
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.seeding import torch_generator
from hzsynth.core.training_loop import TrainingLoop
from hzsynth.cyclegan.colour import to_uint8
from hzsynth.cyclegan.colour_start import colour_start
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.contrastive import PatchHeads
from hzsynth.cyclegan.domains import Domain, draw_batch
from hzsynth.cyclegan.losses import discriminator_loss, shift_images
from hzsynth.cyclegan.networks import (
    ResnetGenerator,
    build_discriminator,
    build_generator,
    initialise,
)
from hzsynth.cyclegan.objectives import (
    BACKWARD,
    FORWARD,
    OBJECTIVES,
    Classify,
    Losses,
    Outcome,
    Step,
)
from hzsynth.cyclegan.preservation import hide_lesions
from hzsynth.nets.ema import ExponentialMovingAverage
from hzsynth.nets.image_pool import ImagePool

BETAS = 0.5, 0.999


class Adversaries:
    """Networks, optimisers and pools of a run, and how they are updated.

    Args:
        config: settings.
        compute: device and precision.
        classify: a frozen classifier; needed by ``preserve = "semantic"`` only.
        processes: that train together.

    Raises:
        InputError: the batch cannot be shared equally.

    Attributes:
        networks: generators by direction, discriminators by domain, and the heads of ``cut``.
        averages: the averaged generators by direction; ``cut`` has the forward one only.
        learning_rate: of the last update.
    """

    def __init__(
        self,
        config: CycleGanConfig,
        compute: Compute,
        classify: Classify | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self._config, self._compute = config, compute
        self._processes, self._rows = processes, processes.rows(config.batch)
        kind = OBJECTIVES[config.objective]
        self._directions, self._domains = kind.directions, kind.domains
        self.networks: dict[str, nn.Module] = {
            **{name: build_generator(config) for name in kind.directions},
            **{name: build_discriminator(config) for name in kind.domains},
        }
        learning = list(kind.directions)
        if kind.heads:
            self.networks[kind.heads] = PatchHeads(self._generator(FORWARD).feature_channels)
            learning.append(kind.heads)
        for name, network in self.networks.items():
            initialise(network, torch_generator(config.seed, "cyclegan", "weights", name))
            network.to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
        self._optimisers = {
            "generators": self._adam(learning),
            "discriminators": self._adam(kind.domains),
        }
        self.averages = {
            name: ExponentialMovingAverage(self.networks[name]) for name in kind.directions
        }
        self._pools = {name: ImagePool(config.pool, compute.device) for name in kind.domains}
        self._objective = kind(config, compute, self.networks, self._judge, classify)
        self.learning_rate = config.learning_rate

    def _generator(self, name: str) -> ResnetGenerator:
        return cast(ResnetGenerator, self.networks[name])

    def _adam(self, names: Sequence[str]) -> torch.optim.Adam:
        weights = [p for name in names for p in self.networks[name].parameters()]
        return torch.optim.Adam(weights, lr=self._config.learning_rate, betas=BETAS, fused=True)

    def start_at_colour_difference(self, source: Domain, target: Domain) -> None:
        """Lets the generators begin with the map between the domains' skin colours."""
        for name, domain in zip(self._directions, (source, target), strict=False):
            network = self._generator(name)
            if network.colour is not None:
                start = colour_start(domain)
                network.colour.start_at(start.weight, start.bias)
                self.averages[name].load_state_dict(network.state_dict())

    def register_in(self, loop: TrainingLoop) -> None:
        """Names all that the next update depends on."""
        loop.register(**self.networks, **self._optimisers)
        loop.register(**{f"average_{name}": average for name, average in self.averages.items()})
        loop.register(**{f"pool_{name}": pool for name, pool in self._pools.items()})

    def update(self, step: int, share: float, source: Domain, target: Domain) -> Losses:
        """Learns from one batch of each domain.

        Args:
            step: its number, from 0.
            share: of the run that is done, from 0 to 1: the rates fall in the second half.
            source: photographs with lesions.
            target: photographs of the target skin.

        Returns:
            The losses by name, scalars without gradient.
        """
        self.learning_rate = self._config.learning_rate * min(1.0, 2 * (1 - share))
        for optimiser in self._optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate
        drawn = self._draw(step, source, target)
        outcome = self._update_generators(drawn)
        losses = {name: loss.detach() for name, loss in outcome.losses.items()}
        losses["discriminator"] = self._update_discriminators(drawn, outcome)
        # The average starts short: a long memory would still hold the untrained weights.
        decay = min(self._config.ema, (step + 1) / (step + 11))
        for name, average in self.averages.items():
            average.update(self.networks[name], decay)
        return losses

    def _draw(self, step: int, source: Domain, target: Domain) -> Step:
        config = self._config
        draws = torch_generator(config.seed, "cyclegan", "step", step)
        a, b = (
            draw_batch(domain, config.batch, draws, self._compute.device)
            for domain in (source, target)
        )
        if self._processes.count > 1:
            a, b = a.select(self._rows), b.select(self._rows)
            if not self._processes.is_main:
                own = self._processes.seed(config.seed)
                draws = torch_generator(own, "cyclegan", "step", step)
        # The same regions are hidden in both domains: a filling must not give fakes away.
        return Step(a, b, a.masks if config.keeps("blind") else None, draws)

    def _descend(self, name: str, total: torch.Tensor) -> None:
        """One step of an optimiser."""
        optimiser = self._optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        for group in optimiser.param_groups:
            self._processes.average_gradients(group["params"])
        optimiser.step()

    def _seen(self, images: torch.Tensor, step: Step) -> torch.Tensor:
        return images if step.hidden is None else hide_lesions(images, step.hidden)

    def _judged(self, name: str, seen: torch.Tensor, step: Step) -> torch.Tensor:
        shifted = shift_images(seen, self._config.shift, step.draws)
        realness: torch.Tensor = self.networks[name](shifted)
        return realness

    def _judge(self, name: str, images: torch.Tensor, step: Step) -> torch.Tensor:
        return self._judged(name, self._seen(images, step), step)

    def _update_generators(self, step: Step) -> Outcome:
        for name in self._domains:
            self.networks[name].requires_grad_(False)
        outcome = self._objective(step)
        self._descend("generators", outcome.total)
        return outcome

    def _update_discriminators(self, step: Step, outcome: Outcome) -> torch.Tensor:
        total = torch.zeros((), device=self._compute.device)
        for name, real in zip(self._domains, (step.target, step.source), strict=False):
            self.networks[name].requires_grad_(True)
            # Pooled after hiding, since a pooled fake would have lost its mask.
            fake = self._seen(outcome.fakes[name].detach(), step)
            shown = self._pools[name].query(fake, step.draws)
            with self._compute.autocast():
                mixed = torch.cat([self._seen(real.images, step), shown])
                judged = self._judged(name, mixed, step)
            count = len(real.images)
            total = total + discriminator_loss(judged[:count], judged[count:])
        self._descend("discriminators", total)
        return total.detach()

    @torch.no_grad()
    def shown(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Uint8 images -> title and pictures: themselves, their translations, and the way back."""
        images = (pixels.to(self._compute.device).float() / 127.5 - 1).contiguous(
            memory_format=self._compute.memory_format
        )
        there = self.averages[FORWARD].module(images)
        rows = {"source": pixels, "translated": to_uint8(there)}
        if BACKWARD in self.averages:
            rows["cycled"] = to_uint8(self.averages[BACKWARD].module(there))
        return rows
