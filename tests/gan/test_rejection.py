"""Generated images that are copies or misshapen are left out and replaced."""

from pathlib import Path

import pytest
import torch

from hzsynth.core.errors import InputError
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from hzsynth.gan.rejection import Rejection, checked_reject
from hzsynth.gan.sampling import generate

from .conftest import training_set, write_pictures

Runs = dict[str, RunDir]


def test_photographs_themselves_are_copies_and_noise_is_implausible(trained: Runs) -> None:
    run = trained["light"]
    images = training_set(run)
    photographs = load_pixels(images.select("train", "zoster"), 16)
    noise = torch.randint(256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    pixels = torch.cat([photographs, noise.to(torch.uint8)])
    classes = torch.zeros(len(pixels), dtype=torch.int64)
    copies = Rejection(run, images, "copies")
    kept = copies(pixels, classes)
    assert not kept[: len(photographs)].any()
    assert kept[len(photographs) :].all()
    assert (copies.copies, copies.implausible) == (len(photographs), 0)
    odd = Rejection(run, images, "implausible")
    kept = odd(pixels, classes)
    assert kept[: len(photographs)].all()
    assert not kept[len(photographs) :].any()
    assert (odd.copies, odd.implausible) == (0, 4)
    assert not Rejection(run, images, "both")(pixels, classes).any()


def test_rejected_images_are_replaced_and_classes_stay_equal(trained: Runs, tmp_path: Path) -> None:
    run = trained["stylegan2"]
    plain = generate(run, 40, tmp_path / "plain")
    seen: list[int] = []

    def every_third(pixels: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        numbers = torch.arange(len(seen), len(seen) + len(pixels))
        seen.extend(numbers.tolist())
        return numbers % 3 != 0

    kept = generate(run, 12, tmp_path / "kept", keep=every_third)
    assert [r.label for r in kept].count("zoster") == 6
    order = [r.seed for r in plain]
    places = [order.index(r.seed) for r in kept]
    assert all(place % 3 for place in places)
    assert places == sorted(places)
    first = {r.seed: r.sha256 for r in plain}
    assert all(first[r.seed] == r.sha256 for r in kept)


def test_a_generator_of_which_nothing_may_stay_ends_with_a_sentence(
    trained: Runs, tmp_path: Path
) -> None:
    def nothing(pixels: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(pixels), dtype=torch.bool)

    with pytest.raises(InputError, match="only 0 of 104 generated images may stay"):
        generate(trained["light"], 2, tmp_path / "out", keep=nothing)
    assert not (tmp_path / "out").exists()


def test_another_set_and_too_few_photographs_are_refused(trained: Runs, tmp_path: Path) -> None:
    run = trained["light"]
    with pytest.raises(InputError, match="trained on"):
        Rejection(run, write_pictures(tmp_path / "other", 3), "copies")
    images = training_set(run)
    few = images.replace_records(list(images.select("train", "zoster"))[:2])
    with pytest.raises(InputError, match="holds 2 of the"):
        Rejection(run, few, "copies")
    with pytest.raises(InputError, match="of 'eczema' there are fewer than 5"):
        Rejection(trained["stylegan2"], images, "both")
    with pytest.raises(InputError, match="`reject` is one of"):
        checked_reject("some")
