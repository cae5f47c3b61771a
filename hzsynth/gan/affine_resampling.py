"""Affine maps of images with little blur and aliasing (arXiv:2006.06676, appendix B).

The image is sampled twice as finely with an orthogonal low-pass filter, mapped by bilinear
interpolation and halved again with the same filter: both filters together change nothing.
"""

import functools
import math
from typing import Any

import torch
from torch.nn import functional

_LOW_PASS = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
"""Scaling filter of the wavelet sym6 (Daubechies 1992): orthonormal to its even shifts."""

_BEFORE = 5
"""Taps before a pixel's own place: 12 taps reach 5 finer samples to either side of its two."""

_LATE = sum(i * tap for i, tap in enumerate(_LOW_PASS)) / math.sqrt(2.0) - _BEFORE - 0.5
"""By how many finer samples the filter, which is not quite symmetric, moves the image."""


@functools.lru_cache(maxsize=16)
def _doubling(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The matrices that double the sampling of a line of pixels, and halve it again.

    Returns:
        2S x S, its source mirrored at the edges, and S x (2S + 10), which takes 5 finer samples
        more at either end. Both in float64; but for the edges the second undoes the first.
    """
    finer = torch.zeros(2 * side, side, dtype=torch.float64)
    coarser = torch.zeros(side, 2 * side + 2 * _BEFORE, dtype=torch.float64)
    for number, tap in enumerate(_LOW_PASS):
        for pixel in range(-_BEFORE, side + _BEFORE):
            place = 2 * pixel + number - _BEFORE
            if 0 <= place < 2 * side:
                source = pixel % (2 * side)
                finer[place, min(source, 2 * side - 1 - source)] += tap * math.sqrt(2.0)
        for pixel in range(side):
            coarser[pixel, 2 * pixel + number] = tap / math.sqrt(2.0)
    return finer, coarser


def resample(images: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """Maps the images by affine maps; beyond their edges they are mirrored.

    Args:
        images: N x 3 x S x S.
        inverse: N x 2 x 3 in float64: of a place (column, row, 1) in the result the place in the
            source, with the image's centre at 0 and its edges at -1 and 1.

    Returns:
        The mapped images.
    """
    count, channels, side = images.shape[:3]
    finer, coarser = (matrix.to(images) for matrix in _doubling(side))
    lines = images.contiguous() @ finer.t()
    fine = finer @ lines
    # The grid reaches 5 finer samples beyond the image, for the filter that follows.
    larger = 2 * side + 2 * _BEFORE
    linear, late = inverse[:, :, :2], torch.full((2, 1), _LATE / side, dtype=inverse.dtype)
    moved = inverse[:, :, 2:] + late - linear @ late
    theta = torch.cat([linear * (larger / (2 * side)), moved], dim=2).to(images)
    grid = functional.affine_grid(theta, [count, channels, larger, larger], align_corners=False)
    mapped: torch.Tensor = _Sampled.apply(fine, grid)
    return coarser @ (mapped @ coarser.t())


_BILINEAR, _REFLECTION = 0, 2
"""How torch's own operator numbers its ways."""


class _Sampled(torch.autograd.Function):
    """`grid_sample` by a grid that does not learn, with derivatives of every order.

    torch has no second derivative of its own. Sampling is linear in the image: the derivative is the
    adjoint, whose derivative is sampling again.
    """

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return functional.grid_sample(
            images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _SampledBack.apply(gradient, grid, ctx.shape), None


class _SampledBack(torch.autograd.Function):
    """The adjoint of `_Sampled`."""

    @staticmethod
    def forward(
        ctx: Any, gradient: torch.Tensor, grid: torch.Tensor, shape: torch.Size
    ) -> torch.Tensor:
        ctx.save_for_backward(grid)
        images = gradient.new_zeros(shape)
        back: torch.Tensor = torch.ops.aten.grid_sampler_2d_backward(
            gradient, images, grid, _BILINEAR, _REFLECTION, False, [True, False]
        )[0]
        return back

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sampled.apply(gradient, grid), None, None
