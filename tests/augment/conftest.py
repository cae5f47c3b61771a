from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set_writer import ImageSetWriter


def picture(seed: Any, size: Any = 32) -> Any:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size, 3)), (2, 2, 0))
    return np.clip([190, 150, 130] + 40 * noise / noise.std(), 0, 255).astype(np.uint8)


def write_real(path: Any, train: Any = 4, turned: Any = None) -> Any:
    with ImageSetWriter(path) as writer:
        for number, (label, split, count) in enumerate(
            [
                ("zoster", "train", train),
                ("zoster", "val", 1),
                ("zoster", "test", 2),
                ("eczema", "train", 6),
                ("eczema", "val", 1),
                ("eczema", "test", 2),
            ]
        ):
            for index in range(count):
                seed = 100 * number + index
                group = f"{label}-{split}-{index}"
                writer.add(picture(seed), label=label, split=split, group=group, origin="real")
    return writer.images


def write_synthetic(
    path: Any,
    count: Any = 40,
    seen: Any = (),
    parents: Any = (),
    run: Any = "gan-1",
    split: Any = "",
    origin: Any = "stylegan2",
    label: Any = "zoster",
) -> Any:
    with ImageSetWriter(path) as writer:
        for index in range(count):
            writer.add(
                picture(5000 + index + 1000 * len(label + run)),
                label=label,
                split=split,
                origin=origin,
                run=run if origin != "real" else "",
                seed=index,
                parents=parents,
            )
        if run:
            writer.add_lineage(run, seen or [TrainingImage("aa", "", "p")])
    return writer.images


@pytest.fixture
def real(tmp_path: Path) -> Any:
    return write_real(tmp_path / "real")


@pytest.fixture
def synthetic(tmp_path: Path) -> Any:
    return write_synthetic(tmp_path / "synthetic")
