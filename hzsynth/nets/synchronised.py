"""Batch norm over the batches of all processes, on any device.

torch's own `SyncBatchNorm` needs GPUs; the formulas are those of Ioffe and Szegedy 2015
(arXiv:1502.03167) with the sums taken over all processes.
"""

import torch
from torch import nn
from torch.distributed.nn.functional import all_reduce

from hzsynth.core.processes import Processes


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose training statistics are those of the global batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x C x H x W -> the same shape."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = torch.tensor([x.numel() / x.shape[1]], device=x.device)
        sums = torch.cat([values.sum(dim=(0, 2, 3)), values.square().sum(dim=(0, 2, 3)), count])
        total, squares, n = all_reduce(sums).split([self.num_features, self.num_features, 1])
        mean = total / n
        variance = (squares / n - mean.square()).clamp_min(0.0)
        self._follow(mean.detach(), variance.detach() * n / (n - 1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        shift = self.bias - mean * scale
        normalised: torch.Tensor = values * scale[:, None, None] + shift[:, None, None]
        return normalised.to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def synchronise_batch_norms(network: nn.Module, processes: Processes) -> None:
    """Makes every batch norm of a network one over all processes, in place; alone it stays as it is.

    Args:
        network: its batch norms have weights and running statistics.
        processes: that train it.
    """
    if processes.count == 1:
        return
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SynchronisedBatchNorm2d
