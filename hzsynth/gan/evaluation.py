"""How a generator is judged while it trains: closeness, variety and copying, in one feature space.

All figures compare the averaged generator's samples with photographs in the pooled features of a
frozen network that the discriminator does not use. Closeness alone would be won by a copier, so
beside it stands the share of samples that lie nearer to a training photograph than other
photographs do. Blurred samples lie in the midst of all photographs and near to each: they are no
copies, so a copy must also be much nearer to one photograph than to the others (as in Carlini et al.
2023, arXiv:2301.13188, section 4.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from hzsynth.core.errors import InputError
from hzsynth.score.copies import QUANTILE
from hzsynth.score.extractors import FeatureExtractor
from hzsynth.score.metrics.kid import kid_of_all
from hzsynth.score.metrics.prdc import precision_recall_density_coverage

FEWEST_TO_COMPARE = 10
"""With fewer held-out photographs KID is measured to the training photographs."""

_FEWEST_FOR_NEIGHBOURS = 6
_FOLLOWING = 10
_COARSE = 8


@dataclass(frozen=True)
class NearestPhotographs:
    """How near images are to the training photographs.

    Attributes:
        nearest: N, distance to the nearest one.
        relative: N, that distance over the mean of the next ones' (at most 10), in [0, 1]. An image
            between all photographs, such as a blurred one, is near to each but has 1; a copy has 0.
    """

    nearest: torch.Tensor
    relative: torch.Tensor

    @classmethod
    def of(cls, distances: torch.Tensor) -> "NearestPhotographs":
        """From a table of distances, N x M; infinite ones do not count.

        Images without any finite distance are left out.
        """
        ordered = distances[distances.isfinite().any(dim=1)].sort(dim=1).values.double()
        nearest, following = ordered[:, 0], ordered[:, 1 : 1 + _FOLLOWING]
        finite = following.isfinite()
        mean = following.where(finite, 0.0).sum(dim=1) / finite.sum(dim=1)
        # A single photograph to compare with says nothing about relative nearness.
        return cls(nearest, torch.where(finite.any(dim=1), nearest / mean.clamp_min(1e-12), 1.0))


def distances_to_others(
    features: torch.Tensor,
    groups: Sequence[str],
    train: torch.Tensor,
    train_groups: Sequence[str],
) -> torch.Tensor:
    """Distance of every photograph to every training photograph of another patient.

    Args:
        features: float N x D.
        groups: patient of each, not empty.
        train: float M x D.
        train_groups: patient of each.

    Returns:
        float N x M; infinite where the patient is the same.
    """
    distances = torch.cdist(features, train)
    number = {name: i for i, name in enumerate({*groups, *train_groups})}
    own, others = (torch.tensor([number[g] for g in part]) for part in (groups, train_groups))
    return distances.masked_fill(own[:, None] == others[None], float("inf"))


class CopyRule:
    """Which images count as copies of a training photograph.

    Args:
        features: photographs, learned from or not, float N x D.
        groups: patient of each, not empty.
        train: those learned from, float M x D.
        train_groups: patient of each.
    """

    def __init__(
        self,
        features: torch.Tensor,
        groups: Sequence[str],
        train: torch.Tensor,
        train_groups: Sequence[str],
    ) -> None:
        self._train = train
        own = NearestPhotographs.of(distances_to_others(features, groups, train, train_groups))
        # Photographs of a single patient have no others: nothing can then be called a copy.
        self._near, self._relative = (
            float(values.quantile(QUANTILE)) if len(values) else 0.0
            for values in (own.nearest, own.relative)
        )

    def __call__(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Which images are near to a photograph, and which of them are copies: bool N each."""
        found = NearestPhotographs.of(torch.cdist(features, self._train))
        near = found.nearest < self._near
        return near, near & (found.relative < self._relative)


def classes_in_shares(counts: Sequence[int], images: int) -> list[int]:
    """Classes for a number of samples, in the proportions of some counts, dealt in turn.

    Args:
        counts: how many photographs each class has.
        images: number of samples.

    Returns:
        A class for every sample; any first part has nearly the same proportions.
    """
    total, dealt = sum(counts), [0] * len(counts)
    chosen = []
    for number in range(1, images + 1):
        lacking = [number * c / total - d for c, d in zip(counts, dealt, strict=True)]
        chosen.append(int(np.argmax(lacking)))
        dealt[chosen[-1]] += 1
    return chosen


def pairwise_distance(pixels: torch.Tensor) -> float:
    """Mean distance between two images of a batch, in grey levels, after pooling to 8 x 8.

    A coarse alarm for collapse: 0 when all images are the same.

    Args:
        pixels: uint8 N x 3 x H x W.

    Returns:
        Root mean square difference a value, averaged over all pairs; 0 for a single image.
    """
    if len(pixels) < 2:
        return 0.0
    coarse = functional.adaptive_avg_pool2d(pixels.float(), _COARSE).flatten(1)
    return float(torch.pdist(coarse).mean() / coarse.shape[1] ** 0.5)


def pixel_diversity(samples: torch.Tensor, reals: torch.Tensor) -> dict[str, float]:
    """``diversity`` from pooled pixels, for a run that is not watched in features.

    Args:
        samples: uint8 N x 3 x H x W.
        reals: the training images, likewise.

    Returns:
        Mean pairwise distance of the samples by that of the reals (1 is as varied as they are, 0 is
        collapse); nothing when the reals are all alike.
    """
    spread = pairwise_distance(reals)
    return {"diversity": pairwise_distance(samples) / spread} if spread > 0 else {}


class SampleJudge:
    """Compares samples with the photographs of a run.

    Args:
        train: what the generator learns from, uint8 N x 3 x H x W.
        train_groups: the patient of each (a name of its own where none is known).
        held_out: photographs that it does not learn from, uint8 M x 3 x H x W, M may be 0.
        held_out_groups: their patients.
        extractor: the feature space.

    Attributes:
        reference: what KID is measured to: ``held-out`` or ``training``.
    """

    def __init__(
        self,
        train: torch.Tensor,
        train_groups: Sequence[str],
        held_out: torch.Tensor,
        held_out_groups: Sequence[str],
        extractor: FeatureExtractor,
    ) -> None:
        if len(train) < 2:
            raise InputError(
                "watching a generator needs two training photographs at least: with one, set "
                "watch = false"
            )
        self._extractor = extractor
        self._train = extractor(train)
        self._held_out = extractor(held_out)
        self.reference = "held-out" if len(held_out) >= FEWEST_TO_COMPARE else "training"
        every, groups = self._train, list(train_groups)
        if len(held_out):
            every = torch.cat([every, self._held_out])
            groups += held_out_groups
        self._copies = CopyRule(every, groups, self._train, train_groups)
        self._spread = float(torch.pdist(self._train).mean())

    def __call__(self, samples: torch.Tensor) -> dict[str, float]:
        """The figures of one moment.

        Args:
            samples: uint8 N x 3 x H x W, N at least 3.

        Returns:
            ``kid`` and its standard error ``kid_error`` (unbiased squared MMD with the cubic
            kernel, to the reference), and the part ``kid_error_of_samples`` of that error by which
            two moments of a run differ; ``kid_train`` where the reference is held out;
            ``precision`` and ``recall`` to the reference (3 neighbours) when it has 6 photographs;
            ``diversity`` (mean distance of two samples over that of two training photographs);
            ``near`` (share of samples nearer to a training photograph than the 5 % quantile of
            the photographs' own distances to those of other patients); ``copies`` (of these, those
            that are also relatively nearer to one photograph than to the next ones, by the same
            quantile: see `NearestPhotographs`). Of both at most about .05 is expected without copying.
        """
        fake = self._extractor(samples)
        held_out = self.reference == "held-out"
        real = self._held_out if held_out else self._train
        kid = kid_of_all(real, fake)
        values = {
            "kid": kid.value,
            "kid_error": kid.error,
            "kid_error_of_samples": kid.error_of_fakes,
        }
        if held_out:
            values["kid_train"] = kid_of_all(self._train, fake).value
        if min(len(real), len(fake)) >= _FEWEST_FOR_NEIGHBOURS:
            neighbours = precision_recall_density_coverage(real, fake)
            values |= {name: neighbours[name] for name in ("precision", "recall")}
        if self._spread > 0:
            values["diversity"] = float(torch.pdist(fake).mean()) / self._spread
        for name, found in zip(("near", "copies"), self._copies(fake), strict=True):
            values[name] = float(found.double().mean())
        return values
