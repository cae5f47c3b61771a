"""How a command is made: its own parameters, the options of its settings, the common ones, one `Session`.

A command is a function that is decorated with `command`; its module lists it in a `group`, or `cli.main`
names it. Nothing is registered by being imported, and a module is imported when one of its commands is asked for.
"""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
from rich.markup import escape

from hzsynth.cli.options import (
    COMMON,
    FURTHER,
    Setting,
    given_settings,
    help_text,
    setting_options,
    settings_of,
)
from hzsynth.cli.pages import CommandPage, GroupPage
from hzsynth.cli.session import Session
from hzsynth.cli.words import in_words_of, spoken
from hzsynth.core.errors import HzsynthError

if TYPE_CHECKING:
    from hzsynth.core.config import Config

TOOLS = "Tools"
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True)
class Command:
    """A command before it is built for the parser.

    Attributes:
        name: as typed.
        text: its help; the first paragraph stands in the group's list.
        call: takes every parameter by keyword and runs the command.
    """

    name: str
    text: str
    call: Callable[..., None]

    def build(self) -> Any:
        """The command for the parser."""
        return typer.main.get_command(_application("", self))


@dataclass(frozen=True)
class Group:
    """Commands under one name.

    Attributes:
        text: its help.
        commands: in the order in which they are listed.
        tools: further ones, listed below.
    """

    text: str
    commands: tuple[Command, ...]
    tools: tuple[Command, ...] = ()

    def build(self) -> Any:
        """The group for the parser."""
        app = _application(self.text, *self.commands, *self.tools, beneath=self.tools)
        app.callback()(lambda: None)  # a group of one command stays a group
        return typer.main.get_command(app)


def _application(text: str, *commands: Command, beneath: Sequence[Command] = ()) -> typer.Typer:
    app = typer.Typer(
        cls=GroupPage,
        help=escape(text),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for one in commands:
        panel = TOOLS if one in beneath else None
        app.command(one.name, cls=CommandPage, help=escape(one.text), rich_help_panel=panel)(
            one.call
        )
    return app


def command(
    name: str,
    *settings: "type[Config]",
    usual: Sequence[str] = (),
    without: Sequence[str] = (),
    further: str = FURTHER,
) -> Callable[[Callable[..., None]], Command]:
    """Makes a command of a function whose first parameter is the `Session`.

    Args:
        name: as typed.
        *settings: configs that the function resolves (`Session.resolve`): their fields become options.
        usual: fields that the help shows first; the others follow in a panel of their own.
        without: fields that are no options of this command.
        further: title of that panel.
    """

    def made(function: Callable[..., None]) -> Command:
        signature = inspect.signature(function, eval_str=True)
        own = [_shown(parameter) for parameter in list(signature.parameters.values())[1:]]
        used = {parameter.name for parameter in own}
        fields = [f for f in settings_of(settings, [*without, *used]) if f.name not in used]
        used |= {field.name for field in fields}
        common = [p for p in _COMMON_OPTIONS if p.name not in used]
        words = spoken([*own, *common])
        of_settings = setting_options(fields, usual, words, further)
        words = {**words, **spoken(of_settings)}
        words |= {".".join(field.place): words[field.name] for field in fields}
        own = [_explained(parameter, words) for parameter in own]
        first, last = of_settings[: len(usual)], of_settings[len(usual) :]
        call = functools.partial(_run, function, fields, words)
        return Command(
            name,
            inspect.getdoc(function) or "",
            _with_signature(call, [*first, *own, *last, *common]),
        )

    return made


def _run(
    function: Callable[..., None], fields: Sequence[Setting], words: dict[str, str], **options: Any
) -> None:
    given = given_settings(fields, {f.name: options.pop(f.name) for f in fields})
    common = {p.name: options.pop(p.name) for p in _COMMON_OPTIONS if p.name in options}
    session = Session(
        out=common["out"],
        seed=common["seed"],
        device=common["device"],
        precision=common["precision"],
        config_file=common["config"],
        dry_run=common["dry_run"],
        json=common["json"],
        quiet=common["quiet"],
        force=common["force"],
        given=given,
        words=words,
    )
    limit_threads(common.get("threads"))
    try:
        function(session, **options)
    except HzsynthError as error:
        error.args = (in_words_of(str(error), words),)
        raise


def limit_threads(count: int | None) -> None:
    """Leaves processors to others: libraries that are loaded later, and torch, take so many threads."""
    if count is None:
        return
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(count)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(count)


def _with_signature(
    call: Callable[..., None], parameters: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    def named(**options: Any) -> None:
        call(**options)

    named.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    named.__annotations__ = {p.name: p.annotation for p in parameters}
    return named


def _shown(parameter: inspect.Parameter) -> inspect.Parameter:
    """A function's own parameter as help shows it: choices as words."""
    kind, *notes = get_args(parameter.annotation)
    note = copy(notes[0])
    words = [a for k in (kind, *get_args(kind)) if get_origin(k) is Literal for a in get_args(k)]
    if words and note.metavar is None:
        note.metavar = "|".join(word for word in words if word)
    return parameter.replace(kind=_KEYWORD, annotation=Annotated[kind, note])


def _explained(parameter: inspect.Parameter, words: dict[str, str]) -> inspect.Parameter:
    kind, note = get_args(parameter.annotation)
    note.help = help_text(note.help or "", words)
    return parameter.replace(annotation=Annotated[kind, note])


def _common(
    kind: Any, option: str, text: str, default: Any = None, **more: Any
) -> inspect.Parameter:
    note = typer.Option(
        option,
        help=text,
        rich_help_panel=COMMON,
        show_default=default is not None and kind is not bool,
        **more,
    )
    name = option.lstrip("-").replace("-", "_")
    return inspect.Parameter(name, _KEYWORD, default=default, annotation=Annotated[kind, note])


_PRECISIONS = Literal["auto", "fp32", "bf16", "fp16"]
_COMMON_OPTIONS = (
    _common(Path | None, "--out", "Where the result goes: a new folder (or file)."),
    _common(int | None, "--seed", "Root seed of all random draws; 0 where none is given."),
    _common(str, "--device", "Where to compute.", "auto", metavar="auto|cpu|cuda|cuda:N"),
    _common(
        _PRECISIONS,
        "--precision",
        "Of the computation.",
        "auto",
        metavar="|".join(get_args(_PRECISIONS)),
    ),
    _common(int | None, "--threads", "Processor threads to take; by default all.", min=1),
    _common(Path | None, "--config", "TOML file; options override it."),
    _common(bool, "--dry-run", "Print the resolved config and stop.", False),
    _common(bool, "--json", "Print the result as one JSON object.", False),
    _common(bool, "--quiet", "No progress and no table.", False),
    _common(bool, "--debug", "Show tracebacks.", False),
    _common(bool, "--force", "Start anew where a result is already.", False),
)


def group(text: str, *commands: Command, tools: Sequence[Command] = ()) -> Group:
    """Commands under one name; `tools` are listed below the others."""
    return Group(text, commands, tuple(tools))
