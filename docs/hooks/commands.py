"""Writes the reference of the commands from the command line itself, so that it cannot lag behind."""

from collections.abc import Iterator
from typing import Any

import typer

MARK = "<!-- every command -->"
_COMMON = "Common options"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page; fills the one that carries the mark."""
    return markdown.replace(MARK, reference()) if MARK in markdown else markdown


def reference() -> str:
    """Markdown of every command: what it does, its arguments and its own options."""
    from hzsynth.cli.main import app

    root = typer.main.get_command(app)
    pages = list(_commands(root, typer.Context(root, info_name="hzsynth")))
    common = next(_options(command, common=True) for _, command in pages)
    parts = ["## Options of every command", common]
    parts += [_described(path, command) for path, command in pages]
    return "\n\n".join(parts)


def _commands(group: Any, context: Any) -> Iterator[tuple[str, Any]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = typer.Context(command, info_name=name, parent=context)
        if hasattr(command, "list_commands"):
            yield from _commands(command, inner)
        else:
            yield inner.command_path, command


def _described(path: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join([path, *(_argument(a) for a in arguments), "[OPTIONS]"])
    parts = [f"## {path}", f"```console\n$ {usage}\n```", (command.help or "").strip()]
    told = [f"- `{_argument(a)}`: {_text(a.help)}" for a in arguments if getattr(a, "help", None)]
    if told:
        parts.append("\n".join(told))
    options = _options(command, common=False)
    return "\n\n".join([*parts, options] if options else parts)


def _argument(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name.strip("[]").removesuffix("...") + ("..." if argument.nargs == -1 else "")


def _options(command: Any, common: bool) -> str:
    """A table of the common options, or of the command's own."""
    rows = []
    for option in command.params:
        if option.param_type_name != "option" or getattr(option, "hidden", False):
            continue
        if (getattr(option, "rich_help_panel", None) == _COMMON) != common:
            continue
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        rows.append(f"| {names} | {_text(option.help)}{_choices(option)} | {_default(option)} |")
    if not rows:
        return ""
    return "\n".join(["| option | meaning | default |", "|---|---|---|", *rows])


def _choices(option: Any) -> str:
    """The values that an option takes, where there are only some."""
    choices = getattr(option.type, "choices", None)
    return f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""


def _default(option: Any) -> str:
    shown = option.show_default
    if isinstance(shown, str):
        return f"`{shown}`"
    value = option.default
    if not shown or value is None or callable(value) or option.is_flag:
        return ""
    return f"`{value}`"


def _text(help_text: str | None) -> str:
    """On one line, without what a table or Markdown would take for its own."""
    text = " ".join((help_text or "").split())
    return text.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
