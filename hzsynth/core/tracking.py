"""A run's figures shown live in TensorBoard, through accelerate's tracker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hzsynth.core.errors import InputError

TRACKERS = ("none", "tensorboard")
FOLDER = "tensorboard"
_FLUSH_SECONDS = 10


class Tracker:
    """Takes every line of a run's metrics; this base, for ``none``, keeps nothing."""

    def log(self, step: int, values: Mapping[str, float | str]) -> None:
        """Takes the values of a step; texts are left out."""

    def close(self) -> None:
        """Writes what is still waiting."""


class _TensorBoard(Tracker):
    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker

    def log(self, step: int, values: Mapping[str, float | str]) -> None:
        numbers = {name: value for name, value in values.items() if not isinstance(value, str)}
        self._tracker.log(numbers, step=step)

    def close(self) -> None:
        self._tracker.finish()


def open_tracker(name: str, run: Path) -> Tracker:
    """Opens a tracker.

    Args:
        name: one of `TRACKERS`.
        run: the run's folder; events go to ``tensorboard/`` in it.

    Returns:
        The tracker.

    Raises:
        InputError: no such tracker, or its package is not installed.
    """
    if name == "none":
        return Tracker()
    if name not in TRACKERS:
        raise InputError(f"`tracker` is one of {', '.join(TRACKERS)}, not '{name}'")
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise InputError(
            "`tracker` tensorboard needs the package tensorboardX: pip install 'hzsynth[tracking]'"
        ) from None
    from accelerate import PartialState
    from accelerate.tracking import TensorBoardTracker

    PartialState()  # the tracker asks it which process writes
    tracker = TensorBoardTracker(FOLDER, str(run), flush_secs=_FLUSH_SECONDS)
    tracker.start()
    return _TensorBoard(tracker)
