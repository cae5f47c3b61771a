"""Ways of training for robustness that KDE-CT is compared with, at the same number of steps.

Gaussian noise training (GNT, Rusak et al. 2020, arXiv 2001.06057) and its variant of several
strengths, adversarial noise training (ANT, the same paper), AugMix (Hendrycks et al. 2020, arXiv
1912.02781), and PixMix (see `pixmix`).
"""

from collections.abc import Callable

import torch
from torch.nn import functional

from hzsynth.classify.train.adversarial_noise import AdversarialNoise
from hzsynth.classify.train.config import Robust
from hzsynth.classify.train.objective import (
    LOSS,
    CrossEntropy,
    Forward,
    Losses,
    Objective,
    Stateless,
)
from hzsynth.classify.train.pixmix import PixMix
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.seeding import derive_seed, torch_generator

_GNT_SIGMA = (0.5,)
_GNT_SIGMAS = (0.08, 0.12, 0.18, 0.26, 0.38)
_AUGMIX_CONSISTENCY = 12.0


class Plain(Stateless):
    """Cross-entropy on the images as they are.

    Args:
        loss: the cross-entropy.
    """

    def __init__(self, loss: CrossEntropy) -> None:
        self._loss = loss

    def __call__(
        self, forward: Forward, images: torch.Tensor, targets: torch.Tensor, step: int
    ) -> Losses:
        """See `objective.Objective`."""
        return {LOSS: self._loss(forward(images), targets)}


class GaussianNoise(Stateless):
    """GNT: half of each batch as it is, the rest with Gaussian noise on [0, 1] pixels, clipped.

    Args:
        loss: the cross-entropy.
        sigmas: standard deviations, one drawn for each image. The several of GNTmult are those
            of the usual benchmark's Gaussian noise, which is then not held out.
        seed: root of the draws.
    """

    def __init__(self, loss: CrossEntropy, sigmas: tuple[float, ...], seed: int) -> None:
        self._loss, self._sigmas, self._seed = loss, torch.tensor(sigmas), seed

    def __call__(
        self, forward: Forward, images: torch.Tensor, targets: torch.Tensor, step: int
    ) -> Losses:
        """See `objective.Objective`."""
        generator = torch_generator(self._seed, "classify", "gnt", step)
        half = len(images) // 2
        drawn = torch.randint(len(self._sigmas), (half,), generator=generator)
        noise = torch.randn((half, *images.shape[1:]), generator=generator)
        noise = (noise * self._sigmas[drawn].view(-1, 1, 1, 1)).to(images)
        noisy = torch.cat([(images[:half] + noise).clamp(0, 1), images[half:]])
        return {LOSS: self._loss(forward(noisy), targets)}


class AugMix(Stateless):
    """AugMix: cross-entropy on the image, and the Jensen-Shannon divergence of three views' answers.

    The chains are torchvision's; of its operations those that resemble corruptions of the usual
    benchmark (brightness, contrast, colour, sharpness) are left out, as published.

    Args:
        loss: the cross-entropy.
        seed: root of the draws.
        severity: of the operations, 1 to 10.
    """

    def __init__(self, loss: CrossEntropy, seed: int, severity: int = 3) -> None:
        from torchvision.transforms import v2

        self._loss, self._seed = loss, seed
        self._mix = v2.AugMix(severity=severity, all_ops=False)

    def __call__(
        self, forward: Forward, images: torch.Tensor, targets: torch.Tensor, step: int
    ) -> Losses:
        """See `objective.Objective`."""
        pixels = (images * 255).round().to(torch.uint8).cpu()
        # torchvision draws from the global generator: it is lent a seed and given back as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self._seed, "classify", "augmix", step))
            views = [torch.stack([self._mix(p) for p in pixels]) for _ in range(2)]
        mixed = [(view.float() / 255).to(images) for view in views]
        logits = forward(torch.cat([images, *mixed])).split(len(images))
        label, consistency = self._loss(logits[0], targets), jensen_shannon(*logits)
        return {
            LOSS: label + _AUGMIX_CONSISTENCY * consistency,
            "label_loss": label,
            "consistency_loss": consistency,
        }


def jensen_shannon(*logits: torch.Tensor) -> torch.Tensor:
    """The mean divergence of several answers from their mean, in nats (N x C logits each)."""
    chances = [each.softmax(dim=1) for each in logits]
    middle = torch.stack(chances).mean(dim=0).clamp(1e-7, 1).log()
    each = [functional.kl_div(middle, chance, reduction="batchmean") for chance in chances]
    return torch.stack(each).mean()


def make_objective(
    robust: Robust,
    loss: CrossEntropy,
    *,
    seed: int,
    size: int,
    device: torch.device,
    processes: Processes = ALONE,
) -> Objective:
    """The objective of a way of training.

    Args:
        robust: its name.
        loss: the cross-entropy.
        seed: root of all draws.
        size: side of the images, pixels.
        device: of the training.
        processes: that train together; the noise that each draws is its own.

    Returns:
        The objective; a checkpoint has to hold its state.
    """
    own_seed = processes.seed(seed)
    makers: dict[Robust, Callable[[], Objective]] = {
        "none": lambda: Plain(loss),
        "gnt": lambda: GaussianNoise(loss, _GNT_SIGMA, own_seed),
        "gnt-mult": lambda: GaussianNoise(loss, _GNT_SIGMAS, own_seed),
        # Its noise generator is that of all processes, and so is its seed.
        "ant": lambda: AdversarialNoise(
            loss, seed=seed, size=size, device=device, processes=processes
        ),
        "augmix": lambda: AugMix(loss, own_seed),
        "pixmix": lambda: PixMix(loss, own_seed),
    }
    return makers[robust]()
