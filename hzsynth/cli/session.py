"""What every command is given: the common options, its settings, and how a result is printed."""

import functools
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from hzsynth.cli.words import in_words_of
from hzsynth.core.config import Config, overridden, read_toml
from hzsynth.core.errors import InputError

if TYPE_CHECKING:
    from hzsynth.core.devices import Compute
    from hzsynth.core.processes import Processes
    from hzsynth.core.progress import Progress
    from hzsynth.stages.places import Place

ConfigType = TypeVar("ConfigType", bound=Config)


@dataclass(frozen=True)
class Session:
    """What one command was given.

    Attributes:
        out: where the result goes, or None when it was not given.
        seed: root seed; None when it was not given (a config file may name one).
        device: as given.
        precision: as given.
        config_file: TOML file, or None.
        dry_run: print the resolved config and stop.
        json: print the result as one JSON object.
        quiet: no progress, no table.
        force: start anew where a finished result is.
        given: settings that were given as options, by field.
        words: how the command writes its parameters (see `cli.words`).
    """

    out: Path | None
    seed: int | None
    device: str
    precision: str
    config_file: Path | None
    dry_run: bool
    json: bool
    quiet: bool
    force: bool
    given: Mapping[str, Any]
    words: Mapping[str, str]

    @property
    def output(self) -> Path:
        """The value of --out.

        Raises:
            InputError: it was not given.
        """
        if self.out is None:
            raise InputError("--out is missing: name where the result goes")
        return self.out

    @property
    def root_seed(self) -> int:
        """The value of --seed, by default 0."""
        return 0 if self.seed is None else self.seed

    @functools.cached_property
    def compute(self) -> "Compute":
        """The chosen device and precision."""
        from hzsynth.core.devices import choose_compute

        chosen = choose_compute(self.device, self.precision)
        if self.processes.count > 1 and chosen.device.type == "cuda":
            return choose_compute(f"cuda:{self.processes.device_number}", self.precision)
        return chosen

    @functools.cached_property
    def processes(self) -> "Processes":
        """The processes that `accelerate launch` started together, or this one alone."""
        from hzsynth.core.processes import Processes

        return Processes.joined(on_cpu=self.device == "cpu")

    @property
    def is_main(self) -> bool:
        """Whether this process speaks and writes; the same as `processes.is_main`, without torch."""
        return os.environ.get("RANK", "0") == "0"

    @functools.cached_property
    def progress(self) -> "Progress":
        """A bar, plain lines or nothing."""
        from hzsynth.core.progress import choose_progress

        return choose_progress(self.quiet or not self.is_main)

    def named(self) -> dict[str, Any]:
        """Settings that the --config file or options name, not validated."""
        return overridden(read_toml(self.config_file), self.given)

    def checked(self, kind: type[ConfigType], beside: str = "", **settings: object) -> ConfigType:
        """The same as `resolve`, but goes on on --dry-run."""
        for name in self.given:
            if name not in kind.model_fields:
                raise InputError(f"`{name}` does not go with {beside}")
        values = overridden(self.given, settings)
        if "seed" in kind.model_fields:
            values["seed"] = self.seed
        return kind.from_sources(self.config_file, values)

    def resolve(self, kind: type[ConfigType], beside: str = "", **settings: object) -> ConfigType:
        """The config from --config and the options that were given; ends here on --dry-run.

        Args:
            kind: the config's class. Its ``seed`` is set from --seed when it has one.
            beside: what was chosen, where the command has other configs for other choices.
            **settings: further values by field name; None means not given.

        Returns:
            The validated config.

        Raises:
            InputError: a key or value is not allowed.
        """
        config = self.checked(kind, beside, **settings)
        if self.dry_run:
            shown = config.model_dump(mode="json")
            sys.stdout.write(json.dumps(shown) + "\n" if self.json else config.to_toml())
            raise typer.Exit
        return config

    @property
    def place(self) -> "Place":
        """Where the command's run lies: --out.

        Raises:
            InputError: --out was not given.
        """
        from hzsynth.stages.places import Place

        _ = self.compute  # a wrong device is refused before anything is written
        return Place(self.output, force=self.force, processes=self.processes, say=self.say)

    def say(self, text: str) -> None:
        """A remark on standard error."""
        if not self.quiet and self.is_main:
            written = in_words_of(text, self.words)
            Console(stderr=True, soft_wrap=True, highlight=False).print(written, markup=False)

    def show(self, result: Mapping[str, Any], title: str = "") -> None:
        """Prints the result: one JSON object with --json, else a table of its plain values."""
        if not self.is_main:
            return
        if self.json:
            print(json.dumps(dict(result), ensure_ascii=False, default=str))
            return
        if self.quiet:
            return
        table = Table(title=title or None, show_header=False, title_justify="left")
        table.add_column()
        table.add_column(overflow="fold")
        for key, value in flat(result):
            table.add_row(key, in_words_of(value, self.words))
        Console(soft_wrap=True, highlight=False).print(table)


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as (name, text) rows; long lists are only counted."""
    rows = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows.extend(flat(value, f"{prefix}{key} · "))
        elif isinstance(value, float):
            rows.append((name, f"{value:.4g}"))
        elif isinstance(value, (list, tuple)) and (
            len(value) > 6 or any(isinstance(v, (list, tuple, Mapping)) for v in value)
        ):
            rows.append((name, f"{len(value)} entries"))
        elif isinstance(value, (list, tuple)):
            rows.append(
                (name, ", ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in value))
            )
        else:
            rows.append((name, str(value)))
    return rows
