"""Arguments that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hzsynth.core.errors import InputError

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
Label = Annotated[str | None, typer.Option("--label", help="Class name.", show_default=False)]

Workers = Annotated[int, typer.Option(min=0, help="Processes; 0 takes every processor.")]


def open_set(path: Path) -> "ImageSet":
    """Opens a SET argument (see `data.loading.open_images`)."""
    from hzsynth.data.loading import open_images

    return open_images(path)


def known_label(images: "ImageSet", label: str, others: tuple[str, ...] = ()) -> str:
    """Checks a class name against those that a set has.

    Args:
        images: the set.
        label: the name that was given.
        others: further allowed values, such as ``all``.

    Returns:
        The label.

    Raises:
        InputError: the set has no such class.
    """
    if label not in (*images.labels, *others):
        allowed = ", ".join((*images.labels, *others))
        raise InputError(f"--label '{label}' is not a class of '{images.root}': it has {allowed}")
    return label
