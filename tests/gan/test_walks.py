"""Interpolation and style mixing."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir
from hzsynth.gan.generator_files import load_generator, open_generator
from hzsynth.gan.interpolation import (
    LatentWalk,
    _write_animation,
    frames_of,
    great_circle,
    write_walk,
)
from hzsynth.gan.style_mixing import chosen_crossover, mixing_grid, write_mixing

Runs = dict[str, RunDir]


def test_a_great_circle_keeps_the_length_and_turns_evenly() -> None:
    generator = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 16, generator=generator)
    way = great_circle(start, 3 * end, torch.linspace(0, 1, 5))
    torch.testing.assert_close(way.norm(dim=1), start.norm().expand(5))
    angles = torch.acos(torch.cosine_similarity(way[1:].double(), way[:-1].double(), dim=1))
    torch.testing.assert_close(angles, angles[:1].expand(4))
    assert torch.equal(way[0], start)
    torch.testing.assert_close(torch.cosine_similarity(way[-1], end, dim=0), torch.tensor(1.0))


def test_a_great_circle_between_equal_directions_is_a_line() -> None:
    start = torch.tensor([3.0, 4.0])
    way = great_circle(start, 2 * start, torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(way, start.expand(3, 2))


@pytest.mark.parametrize(("name", "label"), [("light", None), ("stylegan2", "zoster")])
def test_a_walk_begins_at_the_image_of_its_first_seed(
    trained: Runs, name: str, label: str | None
) -> None:
    generator, number = open_generator(trained[name], label)
    walk = LatentWalk((5, 6), frames=4)
    pictures = list(walk.pictures(generator, number))
    assert len(pictures) == walk.length == 5
    classes = None if number is None else [number]
    assert torch.equal(pictures[0], generator.sample([5], classes)[0])
    steps = [(a.float() - b.float()).abs().mean() for a, b in pairwise(pictures)]
    assert min(steps) > 0
    # An even walk: no step is most of the way.
    assert max(steps) < sum(steps) / 2


def test_a_loop_ends_before_its_beginning(trained: Runs) -> None:
    generator, _ = open_generator(trained["light"])
    walk = LatentWalk((1, 2, 3), frames=2, loop=True)
    assert walk.legs == [(0, 1), (1, 2), (2, 0)]
    pictures = list(walk.pictures(generator))
    assert len(pictures) == walk.length == 6
    again = list(LatentWalk((1, 2), frames=2).pictures(generator))
    assert torch.equal(pictures[1], again[1])


def test_every_format_shows_all_pictures(trained: Runs, tmp_path: Path) -> None:
    generator, _ = open_generator(trained["light"])
    walk = LatentWalk((1, 2), frames=5)
    for ending in ("png", "gif", "webp", "mp4"):
        write_walk(walk, generator, tmp_path / f"walk.{ending}")
    with Image.open(tmp_path / "walk.png") as strip:
        assert strip.width == 6 * (16 + 4) + 4
    assert frames_of(tmp_path / "walk.mp4") == 6
    assert {p.name for p in tmp_path.iterdir()} == {
        f"walk.{e}" for e in ("png", "gif", "webp", "mp4")
    }


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_an_animation_holds_every_picture(tmp_path: Path, ending: str) -> None:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(256, (6, 3, 16, 16), generator=generator).to(torch.uint8)
    file = tmp_path / f"walk.{ending}"
    _write_animation(LatentWalk((1, 2), frames=5), iter(pictures), file, 16)
    with Image.open(file) as animation:
        assert animation.n_frames == 6  # type: ignore[attr-defined]
        assert animation.info["loop"] == 0


def test_what_cannot_be_walked_is_refused(trained: Runs, tmp_path: Path) -> None:
    generator, _ = open_generator(trained["light"])
    with pytest.raises(InputError, match="two seeds"):
        LatentWalk((1,))
    with pytest.raises(InputError, match="`frames`"):
        LatentWalk((1, 2), frames=0)
    with pytest.raises(InputError, match="ends in"):
        write_walk(LatentWalk((1, 2)), generator, tmp_path / "walk.jpg")
    with pytest.raises(InputError, match="too many"):
        write_walk(LatentWalk((1, 2), frames=1_000_000), generator, tmp_path / "walk.gif")
    with pytest.raises(InputError, match="`label`"):
        open_generator(trained["stylegan2"])
    with pytest.raises(InputError, match="not 'acne'"):
        open_generator(trained["light"], "acne")
    assert not list(tmp_path.iterdir())


def test_mixing_takes_coarse_layers_of_the_row_and_fine_ones_of_the_column(trained: Runs) -> None:
    generator, number = open_generator(trained["stylegan2"], "zoster")
    grid = mixing_grid(generator, (1, 2), (3, 4, 5), number=number)
    assert grid.shape == (3, 4, 3, 16, 16)
    own = generator.sample((1, 2, 3, 4, 5), [number] * 5)  # type: ignore[list-item]
    assert torch.equal(grid[1:, 0], own[:2])
    assert torch.equal(grid[0, 1:], own[2:])
    assert (grid[0, 0] == 255).all()
    assert not torch.equal(grid[1, 1], grid[1, 0])
    # A source mixed with itself is itself.
    same = mixing_grid(generator, (1,), (1,), number=number)
    assert torch.equal(same[1, 1], same[1, 0])


def test_the_crossover_decides_how_much_is_fine(trained: Runs) -> None:
    generator, number = open_generator(trained["stylegan2"], "zoster")
    early, late = (
        mixing_grid(generator, (1,), (3,), crossover=layer, number=number)[1, 1].float()
        for layer in (1, generator.layers - 1)
    )
    coarse = generator.sample([1], [number])[0].float()  # type: ignore[list-item]
    assert (late - coarse).abs().mean() < (early - coarse).abs().mean()
    with pytest.raises(InputError, match="`crossover`"):
        chosen_crossover(generator, generator.layers)
    with pytest.raises(InputError, match="no styles"):
        chosen_crossover(open_generator(trained["light"])[0], None)


def test_a_grid_is_written_with_its_captions(trained: Runs, tmp_path: Path) -> None:
    generator, number = open_generator(trained["stylegan2"], "eczema")
    grid = mixing_grid(generator, (1, 2), (3, 4), number=number)
    write_mixing(grid, (1, 2), (3, 4), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as sheet:
        assert sheet.height > 3 * 16
    with pytest.raises(InputError, match="one seed each"):
        mixing_grid(generator, (), (3,))


def test_truncation_brings_codes_to_the_mean(trained: Runs) -> None:
    generator, number = open_generator(trained["stylegan2"], "zoster", truncation=0.5)
    whole, _ = open_generator(trained["stylegan2"], "zoster")
    mean = generator.mean_styles()[number]  # type: ignore[index]
    half, full = generator.codes([7], number), whole.codes([7], number)
    torch.testing.assert_close(half - mean, 0.5 * (full - mean))
    plain = load_generator(trained["light"]).sample([7])
    light, _ = open_generator(trained["light"])
    assert torch.equal(light.render(light.codes([7]), 7), plain)
