"""Options made of the fields of a config: name, kind, choices, range, default and help are said once, there.

What is given is handed on as text; the config checks it and says what is allowed (`core.config`).
"""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.markup import escape

from hzsynth.cli.words import in_words_of, option_name
from hzsynth.core.config import Config
from hzsynth.core.config_fields import bounds, choices, takes_several, value_type

FURTHER = "Further settings"
COMMON = "Common options"
_KINDS = {bool: "", int: "<int>", float: "<number>", str: "<text>", Path: "<path>"}


@dataclass(frozen=True)
class Setting:
    """One field of a command's configs.

    Attributes:
        name: of the option, with underscores.
        place: of the field: its name, after that of the config which lies within the other.
        field: what the config says of it.
    """

    name: str
    place: tuple[str, ...]
    field: FieldInfo


def settings_of(
    kinds: Sequence[type[Config]], without: Collection[str], within: str = ""
) -> tuple[Setting, ...]:
    """The fields that become options.

    Args:
        kinds: configs that the command may resolve; where two have a field of one name, the
            first one's text is shown.
        without: names that are no option here, since the command asks in its own way.
        within: field of another config in which these lie.

    Returns:
        The fields that an option can fill; those of a config within a config come last, and
        only where no other has the name.
    """
    found: dict[str, Setting] = {}
    inner: list[Setting] = []
    for kind in kinds:
        for name, field in kind.model_fields.items():
            type_ = value_type(field)
            if isinstance(type_, type) and issubclass(type_, Config):
                inner += settings_of([type_], (), name)
            elif name not in {*without, "seed"} and (type_ in _KINDS or choices(field)):
                place = (within, name) if within else (name,)
                found.setdefault(name, Setting(name, place, field))
    for setting in inner:
        found.setdefault(setting.name, setting)
    return tuple(found.values())


def setting_options(
    settings: Sequence[Setting], usual: Sequence[str], words: Mapping[str, str], further: str
) -> list[inspect.Parameter]:
    """One optional keyword parameter for each setting.

    Args:
        settings: see `settings_of`.
        usual: fields that are shown first, in this order; the others have a panel of their own.
        words: how the command writes its other parameters.
        further: title of that panel.

    Raises:
        KeyError: a usual field is none of the settings.
    """
    known = {setting.name: setting for setting in settings}
    words = {**words, **{name: option_name(name) for name in known}}
    starts = {word for setting in settings for word in choices(setting.field)}
    order = [*usual, *(name for name in known if name not in usual)]
    return [
        _option(known[name], words, starts, None if name in usual else further) for name in order
    ]


def given_settings(settings: Sequence[Setting], options: Mapping[str, object]) -> dict[str, Any]:
    """What was given, by field: lists in parts, paths absolute, inner configs as tables.

    A run may be resumed from another folder, so the paths that it keeps are absolute.

    Args:
        settings: see `settings_of`.
        options: values of the options; None where not given.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        value = options.get(setting.name)
        if value is not None:
            *outer, name = setting.place
            table = values.setdefault(outer[0], {}) if outer else values
            table[name] = _in_parts(setting.field, value)
    return values


def help_text(text: str, words: Mapping[str, str] | None = None, default: str = "") -> str:
    """A help text for rich: brackets as they are, fields as options, the default at the end."""
    written = escape(in_words_of(text, words or {}))
    return f"{written} [dim]\\[default: {escape(default)}][/dim]" if default else written


def sentence(text: str, starts: Collection[str] = ()) -> str:
    """A description as a sentence; a word of `starts` stays as it is written, as a choice does."""
    first = (text.split(maxsplit=1) or [""])[0].strip(",:;'`")
    known = first in starts or not first.islower()
    return (text if known else text[:1].upper() + text[1:]).rstrip(".") + "."


def completion_of(words: Iterable[str], several: bool = False) -> Callable[[str], list[str]]:
    """Completes one of some words; of several, the one after the last comma."""
    known = tuple(words)

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
        return [f"{before}{comma}{word}" for word in known if word.startswith(last)]

    return complete


def _in_parts(field: FieldInfo, value: Any) -> object:
    path = value_type(field) is Path
    if takes_several(field):
        parts = [part.strip() for text in value for part in text.split(",") if part.strip()]
        return [str(Path(part).absolute()) for part in parts] if path else parts
    return str(Path(value).absolute()) if path else value


def _option(
    setting: Setting, words: Mapping[str, str], starts: Collection[str], panel: str | None
) -> inspect.Parameter:
    field, option = setting.field, option_name(setting.name)
    text = sentence(field.description or "", starts)
    declaration: dict[str, Any] = {
        "help": help_text(text, words, _default(field)),
        "rich_help_panel": panel,
        "show_default": False,
        "metavar": _metavar(field) or None,
    }
    kind: Any = list[str] | None if takes_several(field) else str | None
    if value_type(field) is bool:
        kind, option = bool | None, f"{option}/--no-{option[2:]}"
    elif choices(field):
        declaration["autocompletion"] = completion_of(choices(field), takes_several(field))
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, typer.Option(option, **declaration)],
    )


def _metavar(field: FieldInfo) -> str:
    allowed = "|".join(choices(field)) or _KINDS[value_type(field)]
    if takes_several(field):
        return f"{allowed},..."
    return f"{allowed} {bounds(field)}".rstrip()


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default in (None, "", (), PydanticUndefined):
        return ""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, (tuple, list)):
        return ",".join(str(entry) for entry in default)
    return f"{default:g}" if isinstance(default, float) else str(default)
