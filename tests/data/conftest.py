"""Small phantom collections that several tests of the room share."""

import pytest

from hzsynth.core.image_set import ImageSet
from hzsynth.data.config import PhantomConfig
from hzsynth.data.sources.phantom import import_phantom

SMALL = {"herpes_zoster": 6, "eczema": 6, "normal": 6}


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Eighteen patients of three classes and five disguised copies, 64 px."""
    config = PhantomConfig(size=64, patients=SMALL, duplicates=5, logo_share=0.5)
    return import_phantom(config, tmp_path_factory.mktemp("phantoms") / "set")
