"""The discriminator of a run, asked how much a picture looks like what it learned from."""

import torch

from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.interfaces import DiscriminatorNetwork
from hzsynth.gan.networks import build_discriminator, conditional_classes, to_float
from hzsynth.gan.stored_networks import stored_networks


class TrainedDiscriminator:
    """A discriminator that is ready to score.

    Args:
        network: on the device.
        classes: number of classes that it is told; 0 for none.
        resolution: side of the pictures that it takes, pixels.
        step: of the checkpoint that it comes from.
        compute: where.
    """

    def __init__(
        self,
        network: DiscriminatorNetwork,
        classes: int,
        resolution: int,
        step: int,
        compute: Compute = CPU_FP32,
    ) -> None:
        self._network = network.eval().requires_grad_(False)
        self._classes, self._device = classes, compute.device
        self.resolution, self.step = resolution, step

    @torch.no_grad()
    def score(self, pixels: torch.Tensor) -> torch.Tensor:
        """How much each picture looks like a training photograph.

        Every picture is asked about alone, since the discriminator may look at the spread within its batch,
        and with its mirror image, since half of the photographs were mirrored in training.

        Args:
            pixels: uint8 N x 3 x resolution x resolution.

        Returns:
            N scores, higher for what looks like training.
        """
        scores = []
        for picture in to_float(pixels).to(self._device).split(1):
            views = torch.cat([picture, picture.flip(3)])
            scores.append(torch.stack([self._logit(view) for view in views.split(1)]).mean())
        return torch.stack(scores)

    def _logit(self, view: torch.Tensor) -> torch.Tensor:
        # A class-conditional one is asked about every class: a member stands out in its own.
        observed = self._network.observe(view)
        told: list[torch.Tensor | None] = [
            torch.tensor([number], device=view.device) for number in range(self._classes)
        ]
        logits = [self._network(observed, number).float().mean() for number in told or [None]]
        return torch.stack(logits).mean()


def load_discriminator(run: RunDir, compute: Compute = CPU_FP32) -> TrainedDiscriminator:
    """The discriminator of a run's last checkpoint.

    Args:
        run: a GAN run.
        compute: where.

    Raises:
        InputError: the run's checkpoint is gone, and with it the discriminator; or it was written by
            another version.
    """
    stored = stored_networks(run)
    config = GanConfig.from_sources(None, run.config)
    classes = conditional_classes(stored.labels)
    network = build_discriminator(config, classes)
    network.load_state_dict({**network.state_dict(), **stored.discriminator})
    network = network.to(compute.device)
    return TrainedDiscriminator(network, classes, config.resolution, stored.step, compute)
