"""A trained model as a notebook shows it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hzsynth.core.run import RunDir
from hzsynth.stages.showing import notebook_html, plain_rows

_NAMES = {
    "gan": "generator",
    "cyclegan": "translator",
    "classify": "classifier",
    "kdect": "classifier",
}


@dataclass(frozen=True, repr=False)
class Model:
    """A finished run of a generator, translator or classifier.

    Attributes:
        run: the run's directory, with everything that was asked and came out.
    """

    run: RunDir

    @property
    def path(self) -> Path:
        """Where the run lies."""
        return self.run.path

    @property
    def kind(self) -> str:
        """The stage that trained it: ``gan``, ``cyclegan``, ``classify`` or ``kdect``."""
        return self.run.kind

    @property
    def config(self) -> dict[str, Any]:
        """Its settings, as plain values."""
        return self.run.config

    @property
    def result(self) -> dict[str, Any]:
        """What training came to, as plain values."""
        return self.run.result

    def __repr__(self) -> str:
        steps = self.result.get("steps")
        done = "" if steps is None else f": {steps} steps"
        return f"<{_NAMES.get(self.kind, self.kind)} '{self.path}'{done}>"

    def _repr_html_(self) -> str:
        """The newest sheet of samples, and what training came to."""
        sheets = sorted((self.path / "samples").glob("*.png"))
        return notebook_html(
            f"{_NAMES.get(self.kind, self.kind)} '{self.path}'",
            rows=plain_rows(self.result),
            picture=sheets[-1] if sheets else None,
        )
