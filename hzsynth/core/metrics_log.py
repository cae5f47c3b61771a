"""The metrics of a run: one line of JSON a report, mirrored to a tracker."""

import json
from pathlib import Path
from typing import Any

from hzsynth.core.files import atomic_write_text, explain_os_error
from hzsynth.core.tracking import Tracker


class MetricsLog:
    """A file of reports.

    Args:
        path: the file; it is there from the first report on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tracker = Tracker()

    def add(self, step: int, **values: float | str) -> None:
        """Appends a report.

        Raises:
            InputError: the file cannot be written to.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
        except OSError as error:
            raise explain_os_error("write to", self._path, error) from error
        self._tracker.log(step, values)

    def reports(self) -> list[dict[str, Any]]:
        """All reports so far; a last line that a kill cut short is left out."""
        if not self._path.is_file():
            return []
        lines = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
        return lines

    def keep_until(self, step: int) -> None:
        """Drops the reports beyond a step."""
        kept = [line for line in self.reports() if line["step"] <= step]
        atomic_write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))

    def clear(self) -> None:
        """Removes the file."""
        self._path.unlink(missing_ok=True)

    def mirror(self, tracker: Tracker) -> None:
        """Hands every further report to a tracker too."""
        self._tracker = tracker

    def close(self) -> None:
        """Ends the tracker."""
        self._tracker.close()
        self._tracker = Tracker()
