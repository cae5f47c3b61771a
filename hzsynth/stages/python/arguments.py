"""What the functions of Python's face take: sets, models, places, where to compute, progress."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hzsynth.core.config import Config
from hzsynth.core.devices import Compute, choose_compute
from hzsynth.core.files import atomic_write_text
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import Progress, choose_progress
from hzsynth.core.run import RunDir
from hzsynth.data.loading import open_images
from hzsynth.stages.places import Place
from hzsynth.stages.python.model import Model
from hzsynth.version import __version__

Images = ImageSet | Path | str
"""A set, or the folder of a set or of class folders."""
Trained = Model | RunDir | Path | str
"""A model, or the folder of its run."""

ConfigType = TypeVar("ConfigType", bound=Config)


def opened(images: Images) -> ImageSet:
    """The set itself, or that of a folder.

    Raises:
        InputError: the folder or a file in it cannot be used.
    """
    return images if isinstance(images, ImageSet) else open_images(Path(images))


def run_of(model: Trained, kind: str | None = None) -> RunDir:
    """The run of a model.

    Raises:
        InputError: there is no run, or it is of another stage.
    """
    if isinstance(model, Model):
        model = model.run
    return RunDir.load(model.path if isinstance(model, RunDir) else Path(model), kind)


def settings(kind: type[ConfigType], values: Mapping[str, object], **more: object) -> ConfigType:
    """A stage's settings from keywords, checked by the stage's own rules.

    Args:
        kind: the settings' class.
        values: what the caller named; wrong names are refused with those that are allowed.
        **more: what the function itself names; None means not given.

    Raises:
        InputError: a name or value is not allowed.
    """
    return kind.from_sources(None, {**values, **more})


def shown(progress: bool | Progress) -> Progress:
    """The progress that was asked for."""
    return progress if isinstance(progress, Progress) else choose_progress(quiet=not progress)


def compute_on(device: str, precision: str) -> Compute:
    """The chosen device and precision."""
    return choose_compute(device, precision)


def place_at(out: Path | str, force: bool) -> Place:
    """Where a run is made; a finished one with equal settings and inputs is handed out again."""
    return Place(Path(out), force=force, reuse=True, say=print)


def made_once(
    out: Path | str,
    stage: str,
    asked: Mapping[str, Any],
    make: Callable[[Path], ImageSet],
    force: bool,
) -> ImageSet:
    """A set that is made once: the same call again opens what it has made.

    What was asked is kept beside the set, as ``.NAME.made``.

    Args:
        out: the set's folder.
        stage: the function.
        asked: everything on which the set depends, as plain values.
        make: makes the set at a folder.
        force: make it anew.

    Raises:
        InputError: the folder is there, and was not made by this very call.
    """
    path = Path(out)
    note = path.absolute().parent / f".{path.name}.made"
    text = json.dumps([stage, __version__, asked], sort_keys=True, default=str)
    key = hashlib.sha256(text.encode()).hexdigest()
    if not force and path.is_dir() and note.is_file():
        images = ImageSet.load(path)
        if note.read_text(encoding="utf-8") == f"{key} {images.digest}":
            return images
    images = make(path)
    atomic_write_text(note, f"{key} {images.digest}")
    return images
