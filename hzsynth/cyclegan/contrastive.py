"""PatchNCE (Park, Efros, Zhang and Zhu 2020, "Contrastive learning for unpaired translation").

A place of the translation should resemble the same place of the input more than other places of
that input, in the features of the generator's own encoder. This takes the place of the cycle, so that
one direction is enough.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

_WIDTH = 256
_TEMPERATURE = 0.07


class PatchHeads(nn.Module):
    """A two-layer network for each feature map, to unit vectors of 256.

    Args:
        channels: of each map.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(c, _WIDTH), nn.ReLU(inplace=True), nn.Linear(_WIDTH, _WIDTH))
            for c in channels
        )

    def forward(
        self, maps: Sequence[torch.Tensor], places: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """Describes places.

        Args:
            maps: N x C x H x W each.
            places: numbers of the places of each map in reading order, K each.

        Returns:
            For each map N x K x 256, of unit length.
        """
        return [
            functional.normalize(
                head(features.flatten(2)[:, :, chosen].transpose(1, 2)).float(), dim=2
            )
            for head, features, chosen in zip(self.heads, maps, places, strict=True)
        ]


def draw_places(
    maps: Sequence[torch.Tensor], count: int, generator: torch.Generator
) -> list[torch.Tensor]:
    """Draws up to `count` places of each map, the same ones for all its images."""
    places = []
    for features in maps:
        total = features.shape[-2] * features.shape[-1]
        order = torch.randperm(total, generator=generator)[: min(count, total)]
        places.append(order.to(features.device))
    return places


def patch_loss(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """The loss of one map (equation 3): cross-entropy of finding the own place among the image's.

    Args:
        queries: N x K x D, unit vectors of the translation.
        keys: N x K x D, unit vectors of the input; no gradient flows into them.

    Returns:
        A scalar; ln K when all places look alike.
    """
    likeness = torch.bmm(queries, keys.detach().transpose(1, 2)) / _TEMPERATURE
    own = torch.arange(likeness.shape[1], device=likeness.device).expand(len(likeness), -1)
    return functional.cross_entropy(likeness.flatten(0, 1), own.flatten())
