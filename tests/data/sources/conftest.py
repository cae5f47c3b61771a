"""Published layouts in small: made on the fly, with pictures of a few pixels."""

import io
import itertools
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hzsynth.core.image_set import ImageSet
from hzsynth.data.importing import Imported, import_images
from hzsynth.data.sources.base import Found
from hzsynth.data.sources.registry import source_of

_numbers = itertools.count()
Content = bytes | str | None
Files = Mapping[str, Content]


def _picture(width: int = 24, height: int = 16, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(next(_numbers)).integers(0, 255, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def _bytes(content: Content) -> bytes:
    if content is None:
        return _picture()
    return content.encode() if isinstance(content, str) else content


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """The bytes of a new picture."""
    return _picture


@pytest.fixture
def write_tree() -> Callable[[Path, Files], Path]:
    """Writes files into a folder; None stands for a new picture."""

    def write(root: Path, files: Files) -> Path:
        for name, content in files.items():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_bytes(content))
        return root

    return write


@pytest.fixture
def write_zip() -> Callable[[Path, Files], Path]:
    """Writes files into a zip archive."""

    def write(path: Path, files: Files) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name), _bytes(content))
        return path

    return write


@pytest.fixture
def find() -> Callable[..., Found]:
    """What a source finds, with its settings as the command gives them."""

    def call(kind: str, path: Path, **options: object) -> Found:
        source = source_of(kind)
        return source.find(path, source.config.from_sources(overrides=options))

    return call


@pytest.fixture
def take(tmp_path: Path) -> Callable[[Found], ImageSet]:
    """Imports what was found."""

    def call(found: Found) -> ImageSet:
        done: Imported = import_images(found, tmp_path / f"set-{next(_numbers)}", workers=1)
        assert not done.broken
        return ImageSet.load(done.images.root)

    return call
