"""Writing that a kill or a full disk cannot leave half done: write aside, then rename."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hzsynth.core.errors import InputError


def explain_os_error(action: str, path: Path, error: OSError) -> InputError:
    """Turns an operating-system error into the sentence that a user reads."""
    reason = error.strerror or str(error)
    return InputError(f"cannot {action} '{path}': {reason}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary sibling of `path` to write to; renames it over `path` on success.

    Args:
        path: the file to be written. Its directory is created.

    Yields:
        The temporary file's path.

    Raises:
        InputError: the place cannot be written to (no permission, disk full).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".partial"
        )
        os.close(handle)
        # mkstemp makes private files; the result should follow the user's umask instead.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
    except OSError as error:
        raise explain_os_error("write to", path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise explain_os_error("write to", path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Gives a temporary sibling folder to fill; it becomes `path` on success, else it is removed.

    Args:
        path: the folder to be made; one that is there is replaced as a whole.

    Yields:
        The temporary folder.

    Raises:
        InputError: the place cannot be written to (no permission, disk full).
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name[:80]}."))
        filled, old = temporary / "new", temporary / "old"
        filled.mkdir()
        yield filled
        if path.exists():
            os.replace(path, old)
        os.replace(filled, path)
    except OSError as error:
        raise explain_os_error("write to", path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Writes `data` to `path` so that a reader sees the old content or the new, never a part."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def atomic_write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 (see `atomic_write_bytes`)."""
    atomic_write_bytes(path, text.encode())


def refuse_taken_folder(path: Path, what: str, holds: Callable[[Path], bool], force: bool) -> None:
    """Refuses a place for a new folder that is taken.

    Args:
        path: of the folder.
        what: the folder will hold, such as ``export``.
        holds: whether a folder holds such a thing already; anything else is never replaced.
        force: whether an earlier one may be replaced.

    Raises:
        InputError: a file, a folder with other contents, or an earlier one without `force`.
    """
    if path.is_file():
        raise InputError(f"`out` '{path}' is a file, expected a new folder")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not holds(path):
        raise InputError(f"`out` '{path}' is not empty and holds no {what}; name a new folder")
    if not force:
        raise InputError(f"'{path}' already holds its {what}; use `force` or another `out`")
