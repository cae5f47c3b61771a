"""Losses of fine-tuning and the mixing of images within a batch."""

import torch
from torch.nn import functional

from hzsynth.classify.train.config import Loss, Mix
from hzsynth.classify.train.objective import CrossEntropy
from hzsynth.core.seeding import derive_seed


def focal_loss(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, gamma: float
) -> torch.Tensor:
    """Cross-entropy that turns to what is not yet right (Lin et al., ICCV 2017).

    Args:
        logits: float N x C.
        targets: int64 N, or float N x C, shares of the classes.
        weights: float C, of the classes.
        gamma: 0 is cross-entropy; the larger, the less an image counts that is nearly right.

    Returns:
        The mean, a scalar; weighted as `torch.nn.functional.cross_entropy` weighs it.
    """
    logs = logits.log_softmax(dim=1)
    shares = functional.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
    shares = shares.to(logs.dtype)
    each = -(shares * weights * (1 - logs.exp()).clamp_min(0) ** gamma * logs).sum(dim=1)
    # For class numbers torch divides by the weights met, for shares by the images.
    return each.sum() / weights[targets].sum() if targets.ndim == 1 else each.mean()


def make_loss(name: Loss, weights: torch.Tensor, gamma: float, smoothing: float) -> CrossEntropy:
    """The loss of logits N x C against targets (int64 N or float N x C).

    Args:
        name: of the loss.
        weights: float C, of the classes.
        gamma: of the focal loss.
        smoothing: share of every target that is spread over all classes; cross-entropy only.
    """
    if name == "focal":
        return lambda logits, targets: focal_loss(logits, targets, weights, gamma)
    return lambda logits, targets: functional.cross_entropy(
        logits, targets, weight=weights, label_smoothing=smoothing
    )


class Mixing:
    """MixUp (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019) within a batch.

    Args:
        kind: mixup, cutmix, or both: one of them by turns of chance.
        alpha: of the beta distribution that the shares are drawn from.
        classes: number of classes C.
        seed: root of the draws, which follow from the step.
    """

    def __init__(self, kind: Mix, alpha: float, classes: int, seed: int) -> None:
        from torchvision.transforms import v2

        mixup, cutmix = (make(alpha=alpha, num_classes=classes) for make in (v2.MixUp, v2.CutMix))
        self._mix = {"mixup": mixup, "cutmix": cutmix, "both": v2.RandomChoice([mixup, cutmix])}[
            kind
        ]
        self._classes, self._seed = classes, seed

    def __call__(
        self, images: torch.Tensor, targets: torch.Tensor, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images B x 3 x H x W in [0, 1] and their targets, mixed: the latter float B x C."""
        shares = targets
        if targets.ndim == 1:
            shares = functional.one_hot(targets, self._classes)
        # torchvision draws from the global generator: it is lent a seed and given back as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self._seed, "classify", "mix", step))
            mixed, labels = self._mix(images, shares.float())
        return mixed, labels
