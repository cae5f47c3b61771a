"""Arguments that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hzsynth.core.image_set import ImageSet

SetPath = Annotated[
    Path,
    typer.Argument(
        metavar="SET", help="An image set, or a plain folder of class folders.", show_default=False
    ),
]
RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's directory.", show_default=False)
]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0 takes every processor.")]


def open_set(path: Path) -> "ImageSet":
    """Opens a SET argument (see `data.loading.open_images`)."""
    from hzsynth.data.loading import open_images

    return open_images(path)


def parts(text: str) -> tuple[str, ...]:
    """The words between the commas of an option, each once."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
