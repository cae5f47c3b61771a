"""What every command shares: the common options, the resolved config and the printed result."""

import functools
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from hzsynth.cli.words import in_words_of, spoken
from hzsynth.core.errors import HzsynthError, InputError

if TYPE_CHECKING:
    from hzsynth.core.config import Config
    from hzsynth.core.devices import Compute
    from hzsynth.core.processes import Processes
    from hzsynth.core.progress import Progress
    from hzsynth.stages.places import Place

ConfigType = TypeVar("ConfigType", bound="Config")

_COMMON = "Common options"
_OUT_HELP = "Where the result goes: a new folder (or file)."


@dataclass(frozen=True)
class Session:
    """The common options of one command.

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
    words: Mapping[str, str] = field(default_factory=dict)

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

    @functools.cached_property
    def progress(self) -> "Progress":
        """A bar, plain lines or nothing."""
        from hzsynth.core.progress import choose_progress

        return choose_progress(self.quiet or not self.processes.is_main)

    def resolve(self, kind: type[ConfigType], **options: object) -> ConfigType:
        """The config from --config and the options that were given; ends here on --dry-run.

        Args:
            kind: the config's class. Its ``seed`` is set from --seed when it has one.
            **options: values by field name; None means not given.

        Returns:
            The validated config.

        Raises:
            InputError: a key or value is not allowed.
        """
        if "seed" in kind.model_fields:
            options["seed"] = self.seed
        config = kind.from_sources(self.config_file, options)
        if self.dry_run:
            values = config.model_dump(mode="json")
            sys.stdout.write(json.dumps(values) + "\n" if self.json else config.to_toml())
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
        if not self.quiet and self.processes.is_main:
            written = in_words_of(text, self.words)
            Console(stderr=True, soft_wrap=True, highlight=False).print(written, markup=False)

    def show(self, result: Mapping[str, Any], title: str = "") -> None:
        """Prints the result: one JSON object with --json, else a table of its plain values."""
        if not self.processes.is_main:
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


def _option(kind: Any, *names: str, text: str, default: Any) -> inspect.Parameter:
    option = typer.Option(
        *names, help=text, rich_help_panel=_COMMON, show_default=default is not None
    )
    return inspect.Parameter(
        names[0].lstrip("-").replace("-", "_"),
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, option],
    )


_COMMON_OPTIONS = (
    _option(Path | None, "--out", text=_OUT_HELP, default=None),
    _option(int | None, "--seed", text="Root seed of all random draws (0).", default=None),
    _option(str, "--device", text="auto, cpu, cuda or cuda:N.", default="auto"),
    _option(str, "--precision", text="auto, fp32, bf16 or fp16.", default="auto"),
    _option(Path | None, "--config", text="TOML file; options override it.", default=None),
    _option(bool, "--dry-run", text="Print the resolved config and stop.", default=False),
    _option(bool, "--json", text="Print the result as one JSON object.", default=False),
    _option(bool, "--quiet", text="No progress and no table.", default=False),
    _option(bool, "--debug", text="Show tracebacks.", default=False),
    _option(bool, "--force", text="Start anew where a result is already.", default=False),
)


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers a command whose first parameter is the `Session` of the common options."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        words = spoken([*parameters, *_COMMON_OPTIONS])

        @functools.wraps(function)
        def wrapper(**options: Any) -> None:
            common = {p.name: options.pop(p.name) for p in _COMMON_OPTIONS}
            common.pop("debug")
            session = Session(
                out=common.pop("out"), config_file=common.pop("config"), words=words, **common
            )
            try:
                function(session, **options)
            except HzsynthError as error:
                error.args = (in_words_of(str(error), words),)
                raise

        wrapper.__signature__ = inspect.Signature([*parameters, *_COMMON_OPTIONS])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in [*parameters, *_COMMON_OPTIONS]}
        del wrapper.__wrapped__  # type: ignore[attr-defined]
        app.command(name)(wrapper)
        return function

    return register


def group(text: str) -> typer.Typer:
    """A group of commands with the settings that all groups share."""
    return typer.Typer(
        help=text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
