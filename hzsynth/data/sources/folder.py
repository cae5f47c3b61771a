"""Imports a plain folder of class folders, or an image folder with a table."""

from pathlib import Path

from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter, refuse_existing
from hzsynth.core.progress import SILENT, Progress
from hzsynth.data.loading import scan_images


def import_folder(
    path: Path,
    out: Path,
    *,
    skip_broken: bool = False,
    licence: str = "",
    force: bool = False,
    progress: Progress = SILENT,
) -> tuple[ImageSet, tuple[str, ...]]:
    """Copies a folder's images, as they are, into a new set.

    Args:
        path: the folder (see `data.loading`).
        out: folder of the new set.
        skip_broken: leave out images that cannot be read instead of refusing the folder.
        licence: terms under which the images may be used, where the table names none.
        force: replace a set at `out`.
        progress: where progress is shown.

    Returns:
        The set, and a sentence for every file that was left out.

    Raises:
        InputError: the folder or a file in it cannot be used, or `out` is taken.
    """
    refuse_existing(out, force)
    opened = scan_images(path, skip_broken=skip_broken, progress=progress)
    with ImageSetWriter(out, force) as writer:
        writer.inherit(opened.images)
        for record in opened.images:
            writer.copy(opened.images, record, licence=record.licence or licence)
    return writer.images, opened.broken
