"""Clouds of feature vectors whose distances are known."""

import numpy as np
import torch


def gaussian(
    seed: int, count: int, dim: int = 8, shift: float = 0.0, scale: float = 1.0
) -> torch.Tensor:
    """Independent draws: float32 count x dim."""
    draws = np.random.default_rng(seed).normal(shift, scale, (count, dim))
    return torch.from_numpy(draws).float()
