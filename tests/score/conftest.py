"""Small sets that several tests of the room share."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.sources.phantom import render_phantom


@pytest.fixture
def sets(tmp_path: Path) -> Any:
    """Ten photographs of a class; copies of three of them, a plain picture, five strangers."""
    with ImageSetWriter(tmp_path / "real") as real:
        photographs = [render_phantom("eczema", "western", p, 0, 64)[0] for p in range(10)]
        for number, pixels in enumerate(photographs):
            extra: dict[str, Any] = {"label": "eczema", "split": "train", "group": str(number)}
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
