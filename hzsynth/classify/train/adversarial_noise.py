"""Adversarial noise training (ANT1x1; Rusak et al. 2020, arXiv 2001.06057).

A small generator turns white noise into the noise that hurts the classifier most, within an L2
ball, and the classifier learns against it and against what earlier generators made.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from hzsynth.classify.train.objective import LOSS, CrossEntropy, Forward, Losses
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.seeding import derive_seed, torch_generator

_RADIUS, _AT_SIDE = 135.0, 224
_CHANNELS, _LAYERS = 20, 4
_RATE = 1e-3
_CURRENT, _EARLIER = 0.3, 0.2
_KEEP_EVERY, _MOST_KEPT = 25, 10


def noise_generator(seed: int) -> nn.Sequential:
    """Four 1 x 1 convolutions of 20 channels: white noise N x 3 x H x W -> the same shape."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "classify", "ant", "generator"))
        sides = [3, *[_CHANNELS] * (_LAYERS - 1), 3]
        layers: list[nn.Module] = []
        for inner, outer in pairwise(sides):
            layers += [nn.Conv2d(inner, outer, 1), nn.ReLU()]
        return nn.Sequential(*layers[:-1])


class AdversarialNoise:
    """Half of each batch as it is, 30 % with the current generator's noise, 20 % with earlier ones'.

    At every step the generator first climbs the classifier's loss, then the classifier learns.

    Args:
        loss: the cross-entropy.
        seed: root of the draws.
        size: side of the images, pixels; the ball's radius is 135 at 224 pixels and falls with it.
        device: of the training.
        processes: that train together: one noise generator learns from the gradients of all.
    """

    def __init__(
        self,
        loss: CrossEntropy,
        *,
        seed: int,
        size: int,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self._loss, self._seed, self._device = loss, seed, device
        self._processes = processes
        self._radius = _RADIUS * size / _AT_SIDE
        self._generator = noise_generator(seed).to(device)
        self._optimiser = torch.optim.Adam(self._generator.parameters(), _RATE)
        self._earlier: list[dict[str, torch.Tensor]] = []

    def __call__(
        self, forward: Forward, images: torch.Tensor, targets: torch.Tensor, step: int
    ) -> Losses:
        """See `objective.Objective`."""
        draws = torch_generator(self._processes.seed(self._seed), "classify", "ant", step)
        count = len(images)
        current, earlier = round(_CURRENT * count), round(_EARLIER * count)
        white = torch.randn(images.shape, generator=draws).to(images)
        which = int(torch.randint(max(1, len(self._earlier)), (1,), generator=draws))
        if current:
            self._climb(forward, images[:current], targets[:current], white[:current])
        with torch.no_grad():
            parts = [self.noisy(images[:current], white[:current], self._generator)]
            end = current + earlier
            if self._earlier and earlier:
                old = noise_generator(self._seed).to(self._device)
                old.load_state_dict(self._earlier[which])
                parts.append(self.noisy(images[current:end], white[current:end], old))
            else:
                parts.append(images[current:end])
        if (step + 1) % _KEEP_EVERY == 0:
            kept = {k: v.detach().clone() for k, v in self._generator.state_dict().items()}
            self._earlier = [*self._earlier, kept][-_MOST_KEPT:]
        return {LOSS: self._loss(forward(torch.cat([*parts, images[end:]])), targets)}

    def noisy(
        self, images: torch.Tensor, white: torch.Tensor, generator: nn.Module
    ) -> torch.Tensor:
        """Adds a generator's noise, cut to the ball and the picture to [0, 1]."""
        noise = white + generator(white)
        length = noise.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
        added: torch.Tensor = images + noise * (self._radius / length).clamp(max=1.0)
        return added.clamp(0, 1)

    def _climb(
        self, forward: Forward, images: torch.Tensor, targets: torch.Tensor, white: torch.Tensor
    ) -> None:
        # Gradients of the generator only: the network's are computed anew by the caller.
        loss = -self._loss(forward(self.noisy(images, white, self._generator)), targets)
        weights = list(self._generator.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        self._processes.average_gradients(weights)
        self._optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """The generator, its optimiser and the earlier generators."""
        return {
            "generator": self._generator.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "earlier": list(self._earlier),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a `state_dict`."""
        self._generator.load_state_dict(state["generator"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._earlier = [
            {k: v.to(self._device) for k, v in old.items()} for old in state["earlier"]
        ]
