"""Style mixing: coarse layers of one image, fine layers of another (arXiv:1812.04948, section 3.1).

It shows what a generator has learned to vary apart: where lesions lie from what colour they have.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from hzsynth.core.errors import InputError
from hzsynth.core.image_files import write_png
from hzsynth.core.progress import SILENT, Progress
from hzsynth.gan.interpolation import name_of
from hzsynth.gan.stylegan2 import mix_styles
from hzsynth.gan.trained_generator import TrainedGenerator
from hzsynth.report.contact_sheet import contact_sheet

_MOST_PIXELS = 50_000_000
_WHITE = 255


def chosen_crossover(generator: TrainedGenerator, crossover: int | None) -> int:
    """The first layer that takes the fine source's w.

    Args:
        generator: one with w.
        crossover: what was asked for; None is a third of the layers.

    Raises:
        InputError: the generator has no w, or not so many layers.
    """
    layers = generator.layers
    if not generator.has_styles:
        raise InputError(
            "the light generator has no styles to mix: its z goes in once, at the coarsest layer; "
            "train with `generator` stylegan2"
        )
    if crossover is None:
        return max(1, round(layers / 3))
    if not 1 <= crossover < layers:
        raise InputError(f"`crossover` is a layer from 1 to {layers - 1} here, not {crossover}")
    return crossover


def mixing_grid(
    generator: TrainedGenerator,
    seeds: Sequence[int],
    columns: Sequence[int],
    crossover: int | None = None,
    number: int | None = None,
    progress: Progress = SILENT,
) -> torch.Tensor:
    """All mixtures of some coarse and some fine sources.

    Args:
        generator: one with w.
        seeds: of the coarse sources, which also give the noise.
        columns: seeds of the fine sources.
        crossover: see `chosen_crossover`.
        number: of a class-conditional generator: the class.
        progress: shows the work.

    Returns:
        uint8 (1 + R) x (1 + C) x 3 x H x W. The first column holds the coarse sources, the first row the fine
        ones, just as `TrainedGenerator.sample` makes them; the corner is white.

    Raises:
        InputError: a generator without w, a layer that it has not, no seeds, or too many.
    """
    layer = chosen_crossover(generator, crossover)
    side, cells = generator.resolution, (len(seeds) + 1) * (len(columns) + 1)
    if not seeds or not columns:
        raise InputError("`seeds` and `columns` name one seed each at least")
    if cells * side**2 > _MOST_PIXELS:
        raise InputError(
            f"a grid of {cells} pictures of {side} px is too large, at most are "
            f"{_MOST_PIXELS // side**2}: name fewer `seeds` or `columns`"
        )
    grid = torch.full((len(seeds) + 1, len(columns) + 1, 3, side, side), _WHITE, dtype=torch.uint8)
    coarse, fine = generator.codes(seeds, number), generator.codes(columns, number)
    crossovers = torch.full((len(columns),), layer, device=fine.device)
    with progress.task("mixing styles", cells - 1, unit="img") as task:
        for column, seed in enumerate(columns):
            grid[0, column + 1] = generator.render(fine[column, None], seed, number)[0]
        task.advance(len(columns))
        for row, seed in enumerate(seeds):
            mixed = mix_styles(coarse[row].expand_as(fine), fine, crossovers)
            codes = torch.cat([coarse[row, None], mixed])
            grid[row + 1] = generator.render(codes, seed, number)
            task.advance(len(columns) + 1)
    return grid


def write_mixing(
    grid: torch.Tensor, seeds: Sequence[int], columns: Sequence[int], out: Path
) -> None:
    """Writes a grid as a captioned PNG.

    Args:
        grid: from `mixing_grid`.
        seeds: of the coarse sources.
        columns: seeds of the fine sources.
        out: the file.

    Raises:
        InputError: the place cannot be written to.
    """
    captions = ["", *(f"fine: {name_of(seed, place)}" for place, seed in enumerate(columns))]
    for place, seed in enumerate(seeds):
        captions += [f"coarse: {name_of(seed, place)}", *[""] * len(columns)]
    write_png(out, contact_sheet(grid.flatten(0, 1), grid.shape[1], captions))
