"""Filters and the probe, on features whose answer anybody can tell."""

import numpy as np
import pytest
import torch

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.association import association
from hzsynth.data.sources.phantom import render_phantom
from hzsynth.score.mixture import describe_mixture, is_synthetic, probe_origin
from hzsynth.score.selection import authentic, plausible, select_images


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_plausible_and_authentic_on_a_line():
    real = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0]])
    # Radii to the third neighbour: 3, 2, 2, 2, 3.
    fake = torch.tensor([[-2.9], [-3.1], [7.0], [7.2], [2.0], [2.4], [5.5]])
    assert plausible(fake, real).tolist() == [True, False, True, False, True, True, True]
    # Nearer to a photograph than 1, its neighbour's distance, is a copy.
    assert authentic(fake, real).tolist() == [True, True, True, True, False, False, True]


def test_plausible_agrees_with_torch_fidelitys_precision(rng):
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, prc_features_to_metric

    real = torch.from_numpy(rng.normal(size=(40, 5))).float()
    fake = torch.from_numpy(rng.normal(0.5, 1.5, size=(60, 5))).float()
    theirs = prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)
    assert plausible(fake, real).float().mean() == pytest.approx(theirs[KEY_METRIC_PRECISION])


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 0.3, 0.7), (3.0, 0.99, 1.0)])
def test_the_probe_finds_a_difference_and_only_that(rng, shift, low, high):
    photographs = torch.from_numpy(rng.normal(size=(40, 30)))
    synthetic = torch.from_numpy(rng.normal(size=(60, 30)))
    synthetic[:, :3] += shift
    probe = probe_origin(photographs, synthetic)
    assert low <= probe.auc <= high
    assert 0.35 < probe.floor < 0.65
    assert (probe.photographs, probe.synthetic) == (40, 60)


def test_association_by_hand():
    assert association([("a", "x"), ("b", "y")] * 50) == pytest.approx(1, abs=0.01)
    assert association([("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")] * 25) == 0
    assert association([("a", "x"), ("a", "y")]) == 0


def test_what_counts_as_synthetic():
    assert is_synthetic(ImageRecord("a", "z", origin="stylegan2", run="r"))
    assert is_synthetic(ImageRecord("a", "z", origin="augmented", run="r"))
    assert is_synthetic(ImageRecord("a", "z", origin="external"))
    assert not is_synthetic(ImageRecord("a", "z", origin="augmented"))
    assert not is_synthetic(ImageRecord("a", "z", origin="phantom"))


@pytest.fixture
def sets(tmp_path):
    """Ten photographs of a class; copies of three of them, a plain picture, five strangers."""
    with ImageSetWriter(tmp_path / "real") as real:
        photographs = [render_phantom("eczema", "western", p, 0, 64)[0] for p in range(10)]
        for number, pixels in enumerate(photographs):
            extra = {"label": "eczema", "split": "train", "group": str(number)}
            real.add(pixels, origin="real", **extra)
    with ImageSetWriter(tmp_path / "made") as made:
        copies = [p[:, ::-1] for p in photographs[:3]]
        odd = [np.full((64, 64, 3), (0, 255, 0), np.uint8)]
        fresh = [render_phantom("eczema", "western", p, 0, 64)[0] for p in range(20, 25)]
        for number, pixels in enumerate([*copies, *odd, *fresh]):
            made.add(
                np.ascontiguousarray(pixels),
                label="eczema",
                origin="stylegan2",
                run="r",
                seed=number,
            )
        made.add_lineage("r", [])
    return real.images, made.images


def test_copies_and_oddities_are_left_out(sets):
    real, made = sets
    names = [r.sha256 for r in made]
    found = select_images([made], real, "eczema", "both", compute=CPU_FP32)
    assert set(names[:4]) <= found.dropped
    assert found.looked_at == 9
    assert found.copies >= 3
    assert found.implausible >= 1
    assert len(found.dropped) < 9
    only = select_images([made], real, None, "authentic", compute=CPU_FP32)
    assert set(names[:3]) <= only.dropped
    assert names[3] not in only.dropped
    assert select_images([made], real, "eczema", "none", compute=CPU_FP32).dropped == frozenset()
    with pytest.raises(InputError, match="more than 3 are needed"):
        select_images(
            [made], real.replace_records(real.records[:3]), "eczema", "both", compute=CPU_FP32
        )


def test_a_mixture_is_described(sets, tmp_path):
    real, made = sets
    with ImageSetWriter(tmp_path / "mixed") as writer:
        for record in real:
            writer.copy(real, record)
        for record in made:
            writer.copy(made, record, split="train")
        for seed in range(9):
            pixels, _ = render_phantom("normal", "western", seed, 0, 64)
            writer.add(pixels, label="normal", split="train", origin="real")
        writer.inherit(made)
    report = describe_mixture(writer.images, "eczema", compute=CPU_FP32)
    assert report.made_of == {"eczema": {"real": 10, "stylegan2": 9}, "normal": {"real": 9}}
    assert report.synthetic_share == {"eczema": pytest.approx(9 / 19), "normal": 0}
    assert report.association > 0.3
    assert report.probe is None
    assert "too few" in report.sentence()
    alone = describe_mixture(real, "eczema", compute=CPU_FP32)
    assert alone.sentence().startswith("No synthetic images")
    assert alone.association == 0
