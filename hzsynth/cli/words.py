"""Sentences of the library name fields and parameters; a reader at a terminal knows options and arguments."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import typer


def option_name(field: str) -> str:
    """How a field is written as an option: ``subset_size`` as ``--subset-size``."""
    return "--" + field.replace("_", "-")


def spoken(parameters: Iterable[inspect.Parameter]) -> dict[str, str]:
    """How a command writes its parameters.

    Args:
        parameters: each annotated with a typer argument or option.

    Returns:
        For every parameter's name the option, or the argument's metavar.
    """
    return {p.name: _written(p.name, p.annotation) for p in parameters}


def _written(name: str, annotation: Any) -> str:
    for note in getattr(annotation, "__metadata__", ()):
        if isinstance(note, typer.models.OptionInfo):
            # Within Annotated, typer keeps the first declaration where a default would stand.
            for declaration in (note.default, *(note.param_decls or ())):
                if isinstance(declaration, str) and declaration.startswith("--"):
                    return declaration.split("/")[0]
            return option_name(name)
        if isinstance(note, typer.models.ArgumentInfo):
            return (note.metavar or name.upper()).strip("[].")
    return option_name(name)


def in_words_of(text: str, words: Mapping[str, str]) -> str:
    """Writes backticked names as the command does.

    Args:
        text: a sentence of the library, such as ``"`subset_size` is at most 8"``.
        words: what `spoken` returned for the running command.

    Returns:
        The sentence, such as ``--subset-size is at most 8``; other backticked words stay.
    """
    return re.sub(r"`([a-z_][\w.]*)`", lambda found: words.get(found[1], found[0]), text)


def counted(number: int, noun: str) -> str:
    """A number and its noun, such as ``1 thread`` or ``2 threads``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
