from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hzsynth.ablate.cells import build_cell, cell_seed
from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import AblationArm, Cell
from hzsynth.ablate.runner import run_ablation
from hzsynth.core.errors import RefusedError
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.progress import SILENT
from hzsynth.core.run import RunDir

CONFIG = AblateConfig.from_sources(
    None,
    {
        "label": "hz",
        "ratios": (1,),
        "seeds": 2,
        "multiplier": 3,
        "controls": ("real",),
        "replicates": 200,
        "classifier": {
            "model": "test_resnet",
            "pretrained": "none",
            # Two steps of Adam on a probed head hardly depend on more than the gradient's sign.
            "finetune": "full",
            "size": 32,
            "steps": 4,
            "batch": 4,
        },
    },
)


def _picture(generator: np.random.Generator, label: str) -> np.ndarray:
    pixels = generator.integers(60, 190, (32, 32, 3), dtype=np.uint8)
    if label == "hz":
        pixels[8:24, 8:24, 0] = 250
    return pixels


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    generator = np.random.default_rng(0)
    with ImageSetWriter(tmp_path_factory.mktemp("real") / "set") as writer:
        for split, count in (("train", 4), ("val", 2), ("test", 3)):
            for label in ("hz", "other"):
                for i in range(count):
                    writer.add(
                        _picture(generator, label),
                        label=label,
                        split=split,
                        group=f"{split}{label}{i}",
                        origin="real",
                    )
    return writer.images


def _generated(path: Path, seen: TrainingImage) -> ImageSet:
    generator = np.random.default_rng(1)
    with ImageSetWriter(path) as writer:
        for _ in range(5):
            writer.add(_picture(generator, "hz"), label="hz", origin="stylegan2", run="gan-1")
        writer.add_lineage("gan-1", [seen])
    return writer.images


def _seen(photographs: ImageSet, split: str) -> TrainingImage:
    record = photographs.select(split, "hz").records[0]
    return TrainingImage(record.sha256, record.phash, record.group)


def _ablate(photographs: ImageSet, generated: ImageSet, path: Path) -> RunDir:
    run = RunDir.start(path, "ablate", CONFIG, {"real": photographs.digest})
    try:
        run_ablation(photographs, {"gan": generated}, CONFIG, run)
    finally:
        run.close()
    return run


def test_real_cells_are_deterministic_and_paired(photographs: ImageSet, tmp_path: Path) -> None:
    generated = _generated(tmp_path / "gan", _seen(photographs, "train"))
    first = _ablate(photographs, generated, tmp_path / "first")
    second = _ablate(photographs, generated, tmp_path / "second")
    for name in ("cells.csv", "predictions.csv"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()
    cells = pd.read_csv(first.path / "cells.csv", keep_default_na=False)
    assert cells["arm"].tolist() == ["real", "augmented", "gan-ratio1"] * 2
    said = pd.read_csv(first.path / "predictions.csv")
    of_test = said[said["split"] == "test"]
    asked = {frozenset(frame["sha256"]) for _, frame in of_test.groupby("cell")}
    assert asked == {frozenset(r.sha256 for r in photographs.select("test"))}
    # Other training images or another seed give other networks.
    assert len({tuple(frame["p_hz"]) for _, frame in of_test.groupby("cell")}) == 6
    assert not list(first.path.rglob("*.safetensors"))


def test_a_cell_is_built_as_its_arm_says(photographs: ImageSet, tmp_path: Path) -> None:
    generated = _generated(tmp_path / "gan", _seen(photographs, "train"))
    arm = AblationArm("gan-ratio1", "mixture", "gan", 1)
    made = build_cell(
        photographs, {"gan": generated}, Cell(arm, 0), CONFIG, tmp_path / "cell", progress=SILENT
    )
    zoster = made.select("train", "hz")
    origins = [record.origin for record in zoster]
    assert sum(record.views for record in zoster) == 12
    assert (origins.count("real"), origins.count("stylegan2")) == (4, 4)


def test_a_generator_that_saw_the_test_images_is_refused(
    photographs: ImageSet, tmp_path: Path
) -> None:
    generated = _generated(tmp_path / "gan", _seen(photographs, "test"))
    with pytest.raises(RefusedError):
        _ablate(photographs, generated, tmp_path / "run")


def test_arms_of_one_number_share_their_seed() -> None:
    one, other = AblationArm("real", "real"), AblationArm("augmented", "mixture")
    seed = cell_seed(CONFIG, Cell(one, 0), "classifier")
    assert seed == cell_seed(CONFIG, Cell(other, 0), "classifier")
    assert seed != cell_seed(CONFIG, Cell(one, 1), "classifier")
    assert seed != cell_seed(CONFIG, Cell(one, 0), "build")
