"""Distances between generated images and photographs, under all views in which a copy may be shown.

A copy may be mirrored, turned or cut: a training photograph stands for its eight orientations and
for five crops of 80 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from hzsynth.audit.feature_spaces import FeatureSpace, Pixels
from hzsynth.core.progress import SILENT, Progress

_CROP = 0.8
_AT_ONCE = 64


def orientations(pixels: Pixels) -> list[Pixels]:
    """The eight flips and quarter turns of square pictures."""
    turned = [torch.rot90(pixels, quarter, (2, 3)) for quarter in range(4)]
    return [*turned, *(picture.flip(3) for picture in turned)]


def views(pixels: Pixels) -> list[Pixels]:
    """What a training photograph stands for: eight orientations and five crops, all N x 3 x S x S."""
    side = pixels.shape[-1]
    part = max(1, round(_CROP * side))
    rest = side - part
    corners = [(0, 0), (0, rest), (rest, 0), (rest, rest), (rest // 2, rest // 2)]
    crops = []
    for top, left in corners:
        cut = pixels[:, :, top : top + part, left : left + part].float()
        whole = functional.interpolate(cut, size=(side, side), mode="bilinear", antialias=True)
        crops.append(whole.round().clamp(0, 255).to(torch.uint8))
    return [*orientations(pixels), *crops]


@dataclass(frozen=True)
class Distances:
    """Distances in one space; photographs count in their nearest view.

    Attributes:
        space: its name.
        to_train: M x N, generated images to training photographs.
        to_held_out: M x K, generated images to held-out photographs.
        held_out: K, held-out photograph to the nearest training photograph.
        train: N, training photograph to the nearest other one.
    """

    space: str
    to_train: torch.Tensor
    to_held_out: torch.Tensor
    held_out: torch.Tensor
    train: torch.Tensor

    def without(self, dropped: torch.Tensor) -> "Distances":
        """The same without some generated images, bool M."""
        kept = ~dropped
        return replace(self, to_train=self.to_train[kept], to_held_out=self.to_held_out[kept])


def measure_distances(
    space: FeatureSpace,
    fake: Pixels,
    train: Pixels,
    held_out: Pixels,
    *,
    same_patient: torch.Tensor | None = None,
    progress: Progress = SILENT,
) -> Distances:
    """Distances between the three sets in one space.

    Args:
        space: the space.
        fake: generated images, uint8 M x 3 x S x S.
        train: training photographs, uint8 N x 3 x S x S.
        held_out: photographs that the generator did not see, uint8 K x 3 x S x S.
        same_patient: bool N x N, pairs of training photographs that do not count as others.
        progress: where progress is shown.

    Returns:
        The distances; those between training photographs leave out each one and its patient.
    """
    total = len(fake) + 13 * (len(train) + len(held_out))
    with progress.task(f"audit in {space.name}", total=total, unit="img") as task:

        def described(pixels: Pixels) -> torch.Tensor:
            parts = []
            for chunk in pixels.split(_AT_ONCE):
                parts.append(space.describe(chunk))
                task.advance(len(chunk))
            return torch.cat(parts)

        fakes = described(fake)
        train_views = torch.stack([described(view) for view in views(train)])
        held_out_views = torch.stack([described(view) for view in views(held_out)])
    to_train = _over_views(fakes, train_views)
    to_held_out = _over_views(fakes, held_out_views)
    between = _over_views(train_views[0], train_views)
    excluded = torch.eye(len(train), dtype=torch.bool)
    if same_patient is not None:
        excluded |= same_patient
    between = between.masked_fill(excluded, float("inf"))
    return Distances(
        space=space.name,
        to_train=to_train,
        to_held_out=to_held_out,
        held_out=_over_views(held_out_views[0], train_views).min(dim=1).values,
        train=between.min(dim=1).values,
    )


def _over_views(queries: torch.Tensor, seen: Sequence[torch.Tensor] | torch.Tensor) -> torch.Tensor:
    """Q x N: the smallest distance over the views V x N x D."""
    return torch.stack([torch.cdist(queries, view) for view in seen]).amin(dim=0)
