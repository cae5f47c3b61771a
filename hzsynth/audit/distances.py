"""Distances between generated images and photographs, under all views in which a copy may be shown.

A copy may be mirrored, turned or cut: a training photograph stands for its eight orientations and
for five crops of 80 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from sklearn.cluster import KMeans
from torch.nn import functional

from hzsynth.audit.feature_spaces import FeatureSpace, Pixels
from hzsynth.audit.leaning import Leanings, leanings_by_distance, leanings_in_mixtures
from hzsynth.audit.roles import Roles, each_its_own
from hzsynth.core.progress import SILENT, Progress

_CROP = 0.8
_AT_ONCE = 64
_MOST_CELLS, _HELD_OUT_A_CELL = 10, 20


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
        copy_to_train: N x N, what a copy of each training photograph would be from each; 0 from its own.
        copy_to_held_out: N x K, what it would be from each held-out photograph.
        fake_cells: M, the cell of the space in which each generated image lies (see `copying.c_t`).
        held_out_cells: K.
        fake_classes: int64 M, in the numbers of `roles`.
        train_cells: N.
        roles: whose the photographs are, and which are asked about.
        leanings: which patients' photographs the generated images need to be explained.
    """

    space: str
    to_train: torch.Tensor
    to_held_out: torch.Tensor
    held_out: torch.Tensor
    train: torch.Tensor
    copy_to_train: torch.Tensor
    copy_to_held_out: torch.Tensor
    fake_cells: torch.Tensor
    held_out_cells: torch.Tensor
    fake_classes: torch.Tensor
    train_cells: torch.Tensor
    roles: Roles
    leanings: Leanings

    def without(self, dropped: torch.Tensor) -> "Distances":
        """The same without some generated images, bool M."""
        kept = ~dropped
        return replace(
            self,
            to_train=self.to_train[kept],
            to_held_out=self.to_held_out[kept],
            fake_cells=self.fake_cells[kept],
            fake_classes=self.fake_classes[kept],
            leanings=self.leanings.without(dropped),
        )

    def with_copies(self, places: torch.Tensor, copied: torch.Tensor) -> "Distances":
        """The same where copies of training photographs stand in the places of some images.

        Args:
            places: int64 C, rows of generated images.
            copied: int64 C, rows of training photographs.

        Returns:
            The distances of a set that is leaky on purpose.
        """
        to_train, to_held_out, cells, classes = (
            values.clone()
            for values in (self.to_train, self.to_held_out, self.fake_cells, self.fake_classes)
        )
        to_train[places] = self.copy_to_train[copied]
        to_held_out[places] = self.copy_to_held_out[copied]
        cells[places] = self.train_cells[copied]
        classes[places] = self.roles.classes[self.roles.train[copied]]
        return replace(
            self,
            to_train=to_train,
            to_held_out=to_held_out,
            fake_cells=cells,
            fake_classes=classes,
            leanings=self.leanings.with_copies(places, self.roles.train[copied]),
        )


def measure_distances(
    space: FeatureSpace,
    fake: Pixels,
    train: Pixels,
    held_out: Pixels,
    *,
    roles: Roles | None = None,
    fake_classes: torch.Tensor | None = None,
    progress: Progress = SILENT,
) -> Distances:
    """Distances between the three sets in one space.

    Args:
        space: the space.
        fake: generated images, uint8 M x 3 x S x S.
        train: training photographs, uint8 N x 3 x S x S.
        held_out: photographs that the generator did not see, uint8 K x 3 x S x S.
        roles: whose the photographs are; by default each is of another patient, and all are of one class.
        fake_classes: int64 M, the classes of the generated images, in the numbers of `roles`.
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
    roles = roles or each_its_own(len(train), len(held_out))
    copies = _over_views(train_views[0], train_views).fill_diagonal_(0.0)
    other = copies.masked_fill(roles.train[:, None] == roles.train[None], float("inf"))
    to_train, to_held_out = (_over_views(fakes, seen) for seen in (train_views, held_out_views))
    centres = cell_centres(train_views[0], len(held_out))
    return Distances(
        space=space.name,
        to_train=to_train,
        to_held_out=to_held_out,
        held_out=_over_views(held_out_views[0], train_views).min(dim=1).values,
        train=other.min(dim=1).values,
        copy_to_train=copies,
        copy_to_held_out=_over_views(train_views[0], held_out_views),
        fake_cells=_cells(fakes, centres),
        held_out_cells=_cells(held_out_views[0], centres),
        fake_classes=(
            torch.zeros(len(fake), dtype=torch.int64) if fake_classes is None else fake_classes
        ),
        train_cells=_cells(train_views[0], centres),
        roles=roles,
        leanings=(
            leanings_in_mixtures(fakes, train_views, held_out_views, roles)
            if space.mixes
            else leanings_by_distance(to_train, to_held_out, other, roles)
        ),
    )


def cell_centres(train: torch.Tensor, held_out: int) -> torch.Tensor:
    """Centres of the cells into which the space is divided, by k-means of the training photographs.

    Args:
        train: float N x D.
        held_out: held-out photographs: a cell needs some `_HELD_OUT_A_CELL` to be tested.

    Returns:
        float C x D; one cell where the held-out photographs are few.
    """
    cells = max(1, min(_MOST_CELLS, held_out // _HELD_OUT_A_CELL, len(train) // 2))
    if cells == 1:
        return train.mean(dim=0, keepdim=True)
    # The k-means of Meehan et al., from one place, so that equal sets have equal cells.
    found = KMeans(cells, n_init=4, random_state=0).fit(train.double().numpy())
    return torch.from_numpy(found.cluster_centers_).to(train.dtype)


def _cells(features: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    return torch.cdist(features, centres).argmin(dim=1)


def _over_views(queries: torch.Tensor, seen: Sequence[torch.Tensor] | torch.Tensor) -> torch.Tensor:
    """Q x N: the smallest distance over the views V x N x D."""
    return torch.stack([torch.cdist(queries, view) for view in seen]).amin(dim=0)
