"""Projection of photographs into a generator's codes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hzsynth.core.checkpoint import load_checkpoint
from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir
from hzsynth.gan.config import ProjectionConfig
from hzsynth.gan.generator_files import network_of_class
from hzsynth.gan.networks import to_float, to_uint8
from hzsynth.gan.projected_discriminator import FrozenFeatures
from hzsynth.gan.projection import CODES_KIND, PerceptualDistance, Projector, project, ramp

Runs = dict[str, RunDir]


def projector(run: RunDir, label: str | None, **changes: object) -> Projector:
    network, number = network_of_class(run, label)
    settings = {"steps": 60, "candidates": 32, **changes}
    config = ProjectionConfig.from_sources(None, settings)
    return Projector(network.eval().requires_grad_(False), config, number)


@pytest.mark.parametrize(("name", "label"), [("light", None), ("stylegan2", "zoster")])
def test_an_image_of_the_generator_is_found_again(
    trained: Runs, name: str, label: str | None
) -> None:
    search = projector(trained[name], label)
    z = torch.randn(1, search._network.latent_width, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        target = to_uint8(search.images(search._network.code(z, search._classes(1))))[0]
    found = search("own", target)
    assert found.perceptual < 0.5 * found.perceptual_before
    before = (found.nearest.double() - target.double()).square().mean().sqrt()
    assert found.grey_levels < before
    assert found.psnr == pytest.approx(20 * np.log10(255 / found.grey_levels))
    # The code makes the image that is shown.
    with torch.no_grad():
        assert torch.equal(to_uint8(search.images(found.code[None]))[0], found.image)


def test_projection_is_the_same_every_time_and_never_worse_than_its_start(trained: Runs) -> None:
    target = torch.randint(256, (3, 16, 16), generator=torch.Generator().manual_seed(1))
    target = target.to(torch.uint8)
    first, second = (projector(trained["light"], None, steps=5)("x", target) for _ in range(2))
    assert torch.equal(first.code, second.code)
    one = projector(trained["light"], None, steps=1, rate=100.0)("x", target)
    difference = (to_float(one.nearest) - to_float(target)).square().mean()
    best = one.perceptual_before + float(difference)
    reached = one.perceptual + float((to_float(one.image) - to_float(target)).square().mean())
    assert reached <= best + 1e-2  # 8-bit rounding of the shown images


def test_the_distance_is_nought_for_the_photograph_and_grows_with_the_change() -> None:
    photograph = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    distance = PerceptualDistance(photograph, FrozenFeatures().eval())
    noise = torch.randn(photograph.shape, generator=torch.Generator().manual_seed(1))
    steps = torch.cat([photograph + share * noise for share in (0.0, 0.1, 0.5)])
    values = distance(steps)
    assert values[0] == pytest.approx(0, abs=1e-5)
    assert 0 < values[1] < values[2]


def test_the_rate_rises_and_falls() -> None:
    rates = [ramp(step / 100) for step in range(100)]
    assert max(rates) == pytest.approx(1)
    assert rates[0] < 0.1
    assert rates[-1] < 0.1
    assert rates[20:70] == [1.0] * 50


def test_photographs_of_any_kind_are_projected_and_written(trained: Runs, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    plain, cmyk = tmp_path / "사진 1.png", tmp_path / "print.jpg"
    Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(plain)
    Image.fromarray(rng.integers(0, 255, (40, 40, 4), dtype=np.uint8), "CMYK").save(cmyk)
    config = ProjectionConfig(steps=2, candidates=4)
    out = tmp_path / "out"
    found = project(trained["stylegan2"], [plain, cmyk], out, config, label="eczema")
    assert [p.name for p in found] == ["사진 1.png", "print.jpg"]
    table = json.loads((out / "projection.json").read_text("utf-8"))
    assert table["space"] == "w"
    assert table["photographs"][1] == found[1].to_json()
    stored = load_checkpoint(out / "codes.safetensors", CODES_KIND)
    assert torch.equal(stored["codes"], torch.stack([p.code for p in found]))
    assert stored["run"] == trained["stylegan2"].id
    with Image.open(out / "projection.png") as sheet:
        assert sheet.width > 2 * 192


def test_what_cannot_be_projected_is_refused(trained: Runs, tmp_path: Path) -> None:
    config = ProjectionConfig(steps=1, candidates=1)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff")
    for files, message in (
        ([tmp_path / "none.png"], "cannot be read"),
        ([broken], "broken.jpg"),
        ([], "no photograph"),
    ):
        with pytest.raises(InputError, match=message):
            project(trained["light"], files, tmp_path / "out", config)
    with pytest.raises(InputError, match="`label`"):
        project(trained["stylegan2"], [broken], tmp_path / "out", config)
    assert not (tmp_path / "out").exists()
