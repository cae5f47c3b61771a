"""Writes the reference of the commands from the command line itself, so that it cannot lag behind."""

import re
from collections.abc import Iterator
from typing import Any

MARK = "<!-- every command -->"
_COMMON = "Common options"
_DEFAULT = re.compile(r"\s*\[dim\]\\?\[default: (.*?)\]\[/dim\]")
"""How the help of an option ends that comes from a field of the settings."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page; fills the one that carries the mark."""
    return markdown.replace(MARK, reference()) if MARK in markdown else markdown


def reference() -> str:
    """Markdown of every command: what it does, its arguments and its own options."""
    from hzsynth.cli.main import ROOMS

    pages = [page for room in ROOMS for page in _commands(f"hzsynth {room.name}", room.load())]
    parts = ["## Options of every command", _options(pages[0][1], common=True)]
    parts += [_described(path, command) for path, command in pages]
    return "\n\n".join(parts)


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The command, or those of the group, each with its path."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, one in inner.items():
        yield from _commands(f"{path} {name}", one)


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
        rows.append(f"| {names} | {_text(option.help)}{_values(option)} | {_default(option)} |")
    if not rows:
        return ""
    return "\n".join(["| option | meaning | default |", "|---|---|---|", *rows])


def _values(option: Any) -> str:
    """What may be given, where the command names it: ``a|b|c``, or a name such as SET."""
    if not option.metavar:
        return ""
    return f" <code>{option.metavar.replace('<', '&lt;').replace('|', '&#124;')}</code>"


def _default(option: Any) -> str:
    told = _DEFAULT.search(option.help or "")
    if told:
        return f"`{told.group(1)}`"
    value = option.default
    if not option.show_default or value in (None, "") or callable(value) or option.is_flag:
        return ""
    return f"`{value}`"


def _text(help_text: str | None) -> str:
    """On one line, without what a table or Markdown would take for its own."""
    text = _DEFAULT.sub("", " ".join((help_text or "").split())).replace("\\[", "[")
    return text.replace("|", "&#124;").replace("<", "&lt;").replace("[", "&#91;")
