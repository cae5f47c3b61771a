"""The networks, optimisers and pools of a training run, and its step.

Every random draw of a step follows from the seed and the step's number. Several processes draw the same
batch and compute a share of it each; their shifts, noise and pools are their own.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from hzsynth.core.devices import Compute
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.seeding import torch_generator
from hzsynth.cyclegan.colour_start import colour_start, tone_loss
from hzsynth.cyclegan.config import CycleGanConfig
from hzsynth.cyclegan.contrastive import PatchHeads, draw_places, patch_loss
from hzsynth.cyclegan.domains import Batch, Domain, draw_batch
from hzsynth.cyclegan.hiding import with_jpeg, with_noise
from hzsynth.cyclegan.losses import (
    adversarial_loss,
    cycle_loss,
    discriminator_loss,
    identity_loss,
    shift_images,
)
from hzsynth.cyclegan.networks import ResnetGenerator, initialise
from hzsynth.cyclegan.preservation import (
    gate_loss,
    hide_lesions,
    preservation_loss,
    semantic_loss,
)
from hzsynth.nets.ema import ExponentialMovingAverage
from hzsynth.nets.image_pool import ImagePool

Classify = Callable[[torch.Tensor], torch.Tensor]
"""A frozen classifier: images N x 3 x H x W in [-1, 1] -> logits N x C, differentiable."""

Losses = dict[str, torch.Tensor]
FORWARD, BACKWARD = "forward", "backward"


class Trainer:
    """Networks, optimisers and pools of a run, and its step.

    Args:
        config: settings.
        compute: device and precision.
        classify: a frozen classifier; needed by ``preserve = "semantic"`` only.
        processes: that train together.

    Raises:
        InputError: the batch cannot be shared equally.

    Attributes:
        step: steps so far.
        seconds: time spent in them.
        averages: the averaged generators by direction; ``cut`` has the forward one only.
    """

    def __init__(
        self,
        config: CycleGanConfig,
        compute: Compute,
        classify: Classify | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.config, self.compute, self._classify = config, compute, classify
        self._processes, self._rows = processes, processes.rows(config.batch)
        both = config.objective == "cyclegan"
        self.directions = (FORWARD, BACKWARD) if both else (FORWARD,)
        self.domains = ("target", "source") if both else ("target",)
        self.networks: dict[str, nn.Module] = {
            **{name: config.generator() for name in self.directions},
            **{name: config.discriminator() for name in self.domains},
        }
        learning = list(self.directions)
        if not both:
            self.networks["heads"] = PatchHeads(self._generator(FORWARD).feature_channels)
            learning.append("heads")
        for name, network in self.networks.items():
            initialise(network, torch_generator(config.seed, "cyclegan", "weights", name))
            network.to(compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
        self.optimisers = {
            "generators": self._adam(*learning),
            "discriminators": self._adam(*self.domains),
        }
        self.averages = {
            name: ExponentialMovingAverage(self.networks[name]) for name in self.directions
        }
        self.pools = {name: ImagePool(config.pool) for name in self.domains}
        self.step = 0
        self.seconds = 0.0

    def _generator(self, name: str) -> ResnetGenerator:
        network = self.networks[name]
        assert isinstance(network, ResnetGenerator)  # for the type checker
        return network

    def _adam(self, *names: str) -> torch.optim.Adam:
        values = [p for name in names for p in self.networks[name].parameters()]
        return torch.optim.Adam(
            values, lr=self.config.learning_rate, betas=(0.5, 0.999), fused=True
        )

    def start_at_colour_difference(self, source: Domain, target: Domain) -> None:
        """Lets the generators begin with the map between the domains' skin colours."""
        for name, domain in zip(self.directions, (source, target), strict=False):
            network = self._generator(name)
            if network.colour is not None:
                start = colour_start(domain)
                network.colour.start_at(start.weight, start.bias)
                self.averages[name] = ExponentialMovingAverage(network)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "networks": {k: v.state_dict() for k, v in self.networks.items()},
            "optimisers": {k: v.state_dict() for k, v in self.optimisers.items()},
            "averages": {k: v.state_dict() for k, v in self.averages.items()},
            "pools": {k: v.state() for k, v in self.pools.items()},
            "step": self.step,
            "seconds": self.seconds,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores what `state` gave."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        for name, pool in self.pools.items():
            pool.load_state(state["pools"][name], self.compute.device)
        self.step, self.seconds = state["step"], state["seconds"]

    @property
    def progress(self) -> float:
        """Share of the run that is done, by time or else by steps."""
        if self.config.minutes is not None:
            return self.seconds / (60 * self.config.minutes)
        return self.step / self.config.steps

    def learn(self, source: Domain, target: Domain) -> dict[str, float]:
        """One step on one batch of each domain; returns the losses."""
        begin = time.monotonic()
        draws = torch_generator(self.config.seed, "cyclegan", "step", self.step)
        rate = self.config.learning_rate * min(1.0, 2 * (1 - min(1.0, self.progress)))
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate
        a = draw_batch(source, self.config.batch, draws, self.compute.device)
        b = draw_batch(target, self.config.batch, draws, self.compute.device)
        if self._processes.count > 1:
            a, b = a.select(self._rows), b.select(self._rows)
            if not self._processes.is_main:
                own = self._processes.seed(self.config.seed)
                draws = torch_generator(own, "cyclegan", "step", self.step)
        # The same regions are hidden in both domains: a filling must not give fakes away.
        hidden = a.masks if self.config.keeps("blind") else None
        values, fakes = self._update_generators(a, b, hidden, draws)
        values |= self._update_discriminators(a, b, fakes, hidden, draws)
        self.step += 1
        # The average starts short: a long memory would still hold the untrained weights.
        decay = min(self.config.ema, self.step / (self.step + 10))
        for name, average in self.averages.items():
            average.update(self.networks[name], decay)
        self.seconds += time.monotonic() - begin
        means = torch.stack([value.float() for value in values.values()])
        if self._processes.count > 1:
            # All have to agree on the time: the learning rate and the end follow from it.
            spent = torch.full((1,), self.seconds, device=means.device)
            *means, spent = self._processes.mean(torch.cat([means, spent])).split(1)
            self.seconds = float(spent)
        return dict(zip(values, map(float, means), strict=True)) | {"learning_rate": rate}

    def _descend(self, name: str, total: torch.Tensor) -> None:
        """One step of an optimiser."""
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        for group in optimiser.param_groups:
            self._processes.average_gradients(group["params"])
        optimiser.step()

    def _seen(self, images: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor:
        return images if hidden is None else hide_lesions(images, hidden)

    def _judge(self, name: str, seen: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        judged: torch.Tensor = self.networks[name](shift_images(seen, self.config.shift, draws))
        return judged

    def _update_generators(
        self, a: Batch, b: Batch, hidden: torch.Tensor | None, draws: torch.Generator
    ) -> tuple[Losses, dict[str, torch.Tensor]]:
        for name in self.domains:
            self.networks[name].requires_grad_(False)
        if self.config.objective == "cyclegan":
            total, values, fakes = self._cyclegan(a, b, hidden, draws)
        else:
            total, values, fakes = self._cut(a, b, hidden, draws)
        self._descend("generators", total)
        return {k: v.detach() for k, v in values.items()}, {
            name: fake.detach() for name, fake in fakes.items()
        }

    def _cyclegan(
        self, a: Batch, b: Batch, hidden: torch.Tensor | None, draws: torch.Generator
    ) -> tuple[torch.Tensor, Losses, dict[str, torch.Tensor]]:
        """The published losses (Zhu et al. 2017) and those that keep the lesion."""
        config, both = self.config, len(a.images)
        there, back = self._generator(FORWARD), self._generator(BACKWARD)
        with self.compute.autocast():
            # One pass for the translation and the identity: instance norm keeps images apart.
            forward, gate = there.with_gate(torch.cat([a.images, b.images]))
            backward, other_gate = back.with_gate(torch.cat([b.images, a.images]))
            fake_b, same_b = forward[:both], forward[both:]
            fake_a, same_a = backward[:both], backward[both:]
            judged = (
                self._judge("target", self._seen(fake_b, hidden), draws),
                self._judge("source", self._seen(fake_a, hidden), draws),
            )
            returned = (
                back(self._exposed(fake_b, draws)),
                there(self._exposed(fake_a, draws)),
            )
        values = {
            "adversarial": torch.stack([adversarial_loss(j) for j in judged]).sum(),
            "cycle": cycle_loss(a.images, returned[0]) + cycle_loss(b.images, returned[1]),
            "identity": identity_loss(b.images, same_b) + identity_loss(a.images, same_a),
        }
        total = values["adversarial"] + config.cycle_weight * values["cycle"]
        total = total + config.identity_weight * values["identity"]
        kept, more = self._kept(a, fake_b, gate, b, other_gate)
        if config.keeps("semantic"):
            # Healthy skin must stay healthy on its way to the source domain.
            healthy = self._semantic(b.images, fake_a)
            more["semantic"] = more["semantic"] + healthy
            kept = kept + config.semantic_weight * healthy
        if b.shifts is not None and config.tone_weight > 0:
            back_to = tone_loss(b.images, fake_a, b.masks, b.shifts)
            more["tone"] = more["tone"] + back_to
            kept = kept + config.tone_weight * back_to
        return total + kept, values | more, {"target": fake_b, "source": fake_a}

    def _cut(
        self, a: Batch, b: Batch, hidden: torch.Tensor | None, draws: torch.Generator
    ) -> tuple[torch.Tensor, Losses, dict[str, torch.Tensor]]:
        """The losses of CUT (Park et al. 2020): adversarial, PatchNCE, and that of the identity."""
        config, both = self.config, len(a.images)
        there, heads = self._generator(FORWARD), self.networks["heads"]
        inputs = torch.cat([a.images, b.images])
        with self.compute.autocast():
            outputs, gate = there.with_gate(inputs)
            fake, same = outputs[:both], outputs[both:]
            judged = self._judge("target", self._seen(fake, hidden), draws)
            with torch.no_grad():
                before = there.features(inputs)
            places = draw_places(before, config.nce_locations, draws)
            after = there.features(self._exposed(outputs, draws))
            keys, queries = heads(before, places), heads(after, places)
        contrast = torch.stack(
            [patch_loss(query, key) for query, key in zip(queries, keys, strict=True)]
        ).mean()
        values = {
            "adversarial": adversarial_loss(judged),
            "nce": contrast,
            "identity": identity_loss(b.images, same).detach(),
        }
        total = values["adversarial"] + config.nce_weight * contrast
        kept, more = self._kept(a, fake, gate, b, None)
        return total + kept, values | more, {"target": fake}

    def _exposed(self, images: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        """A translation as the way back sees it: details in which a lesion may hide are disturbed."""
        if self.config.against_hiding == "noise":
            return with_noise(images, draws)
        if self.config.against_hiding == "jpeg":
            return with_jpeg(images, draws)
        return images

    def _kept(
        self,
        a: Batch,
        fake: torch.Tensor,
        gate: torch.Tensor | None,
        b: Batch,
        other_gate: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Losses]:
        """The losses that keep lesions and the tone, weighted and by name."""
        config = self.config
        total, values = torch.zeros((), device=self.compute.device), {}
        if a.shifts is not None and config.tone_weight > 0:
            values["tone"] = tone_loss(a.images, fake, a.masks, a.shifts)
            total = total + config.tone_weight * values["tone"]
        if config.keeps("contrast"):
            values["preservation"] = preservation_loss(a.images, fake, a.masks)
            total = total + config.preserve_weight * values["preservation"]
        if gate is not None:
            values["gate"] = gate_loss(gate, torch.cat([a.masks, b.masks]))
            if other_gate is not None:
                masks = torch.cat([b.masks, a.masks])
                values["gate"] = values["gate"] + gate_loss(other_gate, masks)
            total = total + config.gate_weight * values["gate"]
        if config.keeps("semantic"):
            values["semantic"] = self._semantic(a.images, fake)
            total = total + config.semantic_weight * values["semantic"]
        return total, values

    def _semantic(self, images: torch.Tensor, translated: torch.Tensor) -> torch.Tensor:
        assert self._classify is not None  # `train_cyclegan` has refused to go without
        with torch.no_grad():
            before = self._classify(images)
        return semantic_loss(before, self._classify(translated.float()))

    def _update_discriminators(
        self,
        a: Batch,
        b: Batch,
        fakes: dict[str, torch.Tensor],
        hidden: torch.Tensor | None,
        draws: torch.Generator,
    ) -> Losses:
        total = torch.zeros((), device=self.compute.device)
        for name, real in zip(self.domains, (b, a), strict=False):
            self.networks[name].requires_grad_(True)
            # Pooled after hiding, since a pooled fake would have lost its mask.
            shown = self.pools[name].query(self._seen(fakes[name], hidden), draws)
            with self.compute.autocast():
                both = torch.cat([self._seen(real.images, hidden), shown])
                judged = self._judge(name, both, draws)
            count = len(real.images)
            total = total + discriminator_loss(judged[:count], judged[count:])
        self._descend("discriminators", total)
        return {"discriminator": total.detach()}

    @torch.no_grad()
    def shown(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Uint8 images -> title and pictures: themselves, their translations, and the way back."""
        images = (pixels.to(self.compute.device).float() / 127.5 - 1).contiguous(
            memory_format=self.compute.memory_format
        )
        there = self.averages[FORWARD].module(images)
        rows = {"source": pixels, "translated": to_uint8(there)}
        if BACKWARD in self.averages:
            rows["cycled"] = to_uint8(self.averages[BACKWARD].module(there))
        return rows


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Images in [-1, 1] -> uint8 on the CPU."""
    return ((images.float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
