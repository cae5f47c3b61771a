"""A small set of pictures and tiny settings for the tests of this room."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.run import RunDir
from hzsynth.gan.backends.stylegan2_pytorch.package import import_package
from hzsynth.gan.config import GanConfig
from hzsynth.gan.training import train_gan


def write_pictures(path: Path, count: int = 6, splits: bool = True) -> ImageSet:
    """Skin-coloured pictures with a red spot; zoster and eczema, train and test."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:24, :24]
    with ImageSetWriter(path) as writer:
        for number in range(count):
            picture = np.full((24, 24, 3), (220, 180, 160), np.float64)
            centre = rng.uniform(6, 18, 2)
            spot = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 16
            picture[spot] = (200, 60, 60)
            picture += rng.normal(0, 3, picture.shape)
            writer.add(
                picture.clip(0, 255).astype(np.uint8),
                label="zoster" if number % 3 else "eczema",
                split=("test" if number == 1 else "train") if splits else "",
                group=f"p{number}",
                origin="real",
            )
    return writer.images


@pytest.fixture
def pictures(tmp_path: Path) -> ImageSet:
    return write_pictures(tmp_path / "pictures")


def tiny(**changes: object) -> GanConfig:
    """Settings whose steps take milliseconds."""
    settings: dict[str, object] = {
        "resolution": 16,
        "channel_multiplier": 0.1,
        "batch": 4,
        "kimg": 0.024,
        "snapshot_kimg": 0.012,
        "snapshot_samples": 4,
        "feature_size": 32,
        "bank_views": 32,
        "checkpoint_seconds": 0.0,
        "watch": False,
        **changes,
    }
    return GanConfig.from_sources(None, settings)


@pytest.fixture
def package() -> ModuleType:
    for needed in ("stylegan2_pytorch", "kornia", "einops", "vector_quantize_pytorch"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    return import_package()


def saved(images: ImageSet, path: Path, **changes: object) -> RunDir:
    """A finished run of a few steps."""
    config = tiny(**{"kimg": 0.12, "snapshot_kimg": 1, **changes})
    with RunDir.start(path, "gan", config, {"images": images.digest}) as run:
        train_gan(images, config, run)
    return RunDir.load(path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDir]:
    """Finished runs: the light generator of zoster, a StyleGAN2 of both classes, and the set."""
    folder = tmp_path_factory.mktemp("trained")
    images = write_pictures(folder / "pictures", 12)
    return {
        "light": saved(images, folder / "light", label="zoster"),
        "stylegan2": saved(
            images, folder / "stylegan2", generator="stylegan2", discriminator="stylegan2"
        ),
    }


def training_set(run: RunDir) -> ImageSet:
    """The set behind a run of `trained`."""
    return ImageSet.load(run.path.parent / "pictures")
