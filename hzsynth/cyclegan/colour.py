"""Changes of colour, which are added to images on an unbounded scale."""

import torch
from torch import nn
from torch.nn import functional

# Pixels at the ends of the range have no finite logit: they are pulled in by this factor.
_REACH = 0.95


def to_logits(images: torch.Tensor) -> torch.Tensor:
    """Images in [-1, 1] -> the unbounded scale on which changes are added."""
    return torch.atanh(_REACH * images.float().clamp(-1, 1))


def colour_features(images: torch.Tensor) -> torch.Tensor:
    """Mean and deviation of each channel of each image, in logits.

    Args:
        images: N x 3 x H x W in [-1, 1].

    Returns:
        N x 6.
    """
    spread, mean = torch.std_mean(to_logits(images), dim=(2, 3))
    return torch.cat([mean, spread], dim=1)


def apply_change(images: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """Adds a change in logits; zero gives the image back, and the result stays in [-1, 1].

    Args:
        images: N x 3 x H x W in [-1, 1].
        change: the same shape.

    Returns:
        The changed images.
    """
    changed = torch.tanh(to_logits(images) + change.float()) / _REACH
    return changed.clamp(-1, 1)


class ColourChange(nn.Module):
    """A global change of colour that follows from the image's own mean colours and contrasts.

    For every image a gain and a shift of each channel, in logits (see `apply_change`); both
    start at zero.
    """

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.first = nn.Linear(6, hidden)
        self.last = nn.Linear(hidden, 6)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """N x 3 x H x W in [-1, 1] -> change in logits, the same shape."""
        features = colour_features(images)
        mean = features[:, :3, None, None]
        weights = self.last(functional.relu(self.first(features)))
        gain, shift = weights.float()[..., None, None].chunk(2, dim=1)
        change: torch.Tensor = gain * (to_logits(images) - mean) + shift
        return change

    @torch.no_grad()
    def start_at(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Begins with a shift that is linear in the features: ``weight @ features + bias``.

        Args:
            weight: 3 x 6.
            bias: 3, in logits.
        """
        # A linear function through rectifiers: each feature once as it is and once negated.
        count = weight.shape[1]
        both = torch.cat([torch.eye(count), -torch.eye(count)])
        self.first.weight[: 2 * count] = both.to(self.first.weight)
        self.first.bias[: 2 * count] = 0
        self.last.weight[3:, : 2 * count] = torch.cat([weight, -weight], dim=1).to(self.last.weight)
        self.last.bias[3:] = bias.to(self.last.bias)


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Images in [-1, 1] -> uint8 on the CPU."""
    return ((images.float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
