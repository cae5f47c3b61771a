"""Generated images that a training set is better off without: implausible ones, and copies.

Plausible is what improved precision counts (Kynkaanniemi et al. 2019, arXiv:1904.06991): inside the
neighbourhood of some photograph. Authentic is what AuthPct counts (Alaa et al. 2022,
arXiv:2102.08921): farther from its nearest photograph than that is from its own neighbour.
Authenticity is strict: about half of entirely new images fail it, too, since a new photograph may
well lie nearer than the nearest old one. Both look at the training photographs only, so that no
held-out one chooses what is trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.score.config import Filter
from hzsynth.score.extractors import create_extractor
from hzsynth.score.features import extract_features, open_cache

_NEIGHBOURS = 3
_SIDE = 224


def plausible(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Which generated images lie within the photographs' neighbourhoods.

    Args:
        fake: float M x D.
        real: float N x D, N > 3.

    Returns:
        bool M.
    """
    radius = torch.cdist(real, real).kthvalue(_NEIGHBOURS + 1, dim=1).values
    return (torch.cdist(fake, real) <= radius).any(dim=1)


def authentic(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Which generated images are no nearer to a photograph than another photograph is.

    Args:
        fake: float M x D.
        real: float N x D, N >= 2.

    Returns:
        bool M.
    """
    nearest = torch.cdist(fake, real).min(dim=1)
    spacing = torch.cdist(real, real).kthvalue(2, dim=1).values
    return nearest.values > spacing[nearest.indices]


@dataclass(frozen=True)
class Selection:
    """What a filter leaves out.

    Attributes:
        dropped: sha256 of the images.
        looked_at: generated images that were looked at.
        implausible: how many of them lie outside the photographs' neighbourhoods.
        copies: how many are nearer to a photograph than its neighbour.
    """

    dropped: frozenset[str]
    looked_at: int
    implausible: int
    copies: int


def select_images(
    synthetic: Sequence[ImageSet],
    real: ImageSet,
    label: str | None,
    how: Filter,
    *,
    compute: Compute,
    features: str = "efficientnet-lite0",
    cache: Path | None = None,
    progress: Progress = SILENT,
) -> Selection:
    """Looks for generated images that should not be used, class by class.

    Args:
        synthetic: generated sets.
        real: photographs with a split; only those in train are looked at.
        label: the class; None: every class of the generated sets.
        how: what is left out.
        compute: where features are computed.
        features: feature space (see `extractors.create_extractor`).
        cache: folder that keeps features.
        progress: where to report.

    Returns:
        What to leave out.

    Raises:
        InputError: a class has too few training photographs to compare with.
    """
    if how == "none":
        return Selection(frozenset(), 0, 0, 0)
    extractor = create_extractor(features, compute=compute)
    known = open_cache(cache, extractor, _SIDE)
    labels = [label] if label else sorted({name for images in synthetic for name in images.labels})
    found: list[_Misfits] = []
    for name in labels:
        photographs = real.select("train", name)
        if len(photographs) <= _NEIGHBOURS:
            raise InputError(
                f"`filter` compares with the training photographs of '{name}': there are "
                f"{len(photographs)}, and more than {_NEIGHBOURS} are needed"
            )
        behind = extract_features(
            photographs, extractor, size=_SIDE, progress=progress, cache=known
        )
        for images in (made.select(label=name) for made in synthetic):
            if len(images):
                made = extract_features(
                    images, extractor, size=_SIDE, progress=progress, cache=known
                )
                found.append(_Misfits(images, ~plausible(made, behind), ~authentic(made, behind)))
    return Selection(
        dropped=frozenset(digest for misfits in found for digest in misfits.dropped(how)),
        looked_at=sum(len(misfits.images) for misfits in found),
        implausible=sum(int(misfits.implausible.sum()) for misfits in found),
        copies=sum(int(misfits.copies.sum()) for misfits in found),
    )


@dataclass(frozen=True)
class _Misfits:
    """Which images of a set do not fit; bool N each."""

    images: ImageSet
    implausible: torch.Tensor
    copies: torch.Tensor

    def dropped(self, how: Filter) -> list[str]:
        """The sha256 of those that a filter leaves out."""
        out = torch.zeros_like(self.copies)
        if how in ("plausible", "both"):
            out |= self.implausible
        if how in ("authentic", "both"):
            out |= self.copies
        return [r.sha256 for r, gone in zip(self.images, out.tolist(), strict=True) if gone]
