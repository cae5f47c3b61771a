"""What a field of a config allows, in words: for the sentence of an error and for the help of an option."""

import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_NOUNS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
}
_NOUNS_OF_MANY = {int: "whole numbers", float: "numbers", str: "names", Path: "paths"}


def field_at(kind: type[BaseModel], place: Sequence[str]) -> FieldInfo | None:
    """The field at a place such as ``("classifier", "steps")``, or None."""
    field = kind.model_fields.get(place[0]) if place else None
    if field is None or len(place) == 1:
        return field
    inner = value_type(field)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return field_at(inner, place[1:])
    return None


def value_type(field: FieldInfo) -> Any:
    """The type of the value, or of one entry where there may be several; None is left out."""
    return _entry(_without_none(field.annotation))


def takes_several(field: FieldInfo) -> bool:
    """Whether the field holds a list."""
    return get_origin(_without_none(field.annotation)) in (tuple, list)


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The words that may be chosen among; none when the field is free."""
    kind = value_type(field)
    return tuple(str(word) for word in get_args(kind)) if get_origin(kind) is Literal else ()


def bounds(field: FieldInfo) -> str:
    """The range of a number, such as ``from 16 to 1024`` or ``above 0 and below 1``."""
    low, high, step = "", "", ""
    for limit in (*field.metadata, *_entry_metadata(field)):
        if isinstance(limit, annotated_types.Ge):
            low = f"from {limit.ge}"
        elif isinstance(limit, annotated_types.Gt):
            low = f"above {limit.gt}"
        elif isinstance(limit, annotated_types.Le):
            high = f"up to {limit.le}"
        elif isinstance(limit, annotated_types.Lt):
            high = f"below {limit.lt}"
        elif isinstance(limit, annotated_types.MultipleOf):
            step = f"divisible by {limit.multiple_of}"
    if low.startswith("from") and high:
        joined = f"{low} to {high.removeprefix('up to ')}"
    else:
        joined = " and ".join(part for part in (low, high) if part)
    return ", ".join(part for part in (joined, step) if part)


def allowed_values(field: FieldInfo) -> str:
    """What may stand in a field, such as ``one of light, stylegan2``."""
    words, several = choices(field), takes_several(field)
    if words:
        return f"{'one or more' if several else 'one'} of {', '.join(words)}"
    nouns = _NOUNS_OF_MANY if several else _NOUNS
    noun = nouns.get(value_type(field), "a list" if several else "a table")
    if several and any(isinstance(note, annotated_types.MinLen) for note in field.metadata):
        noun = f"one or more {noun}"
    return f"{noun} {bounds(field)}".rstrip()


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0]
    return annotation


def _entry_metadata(field: FieldInfo) -> list[Any]:
    for argument in get_args(_without_none(field.annotation)):
        for note in getattr(argument, "__metadata__", ()):
            return list(note.metadata) if isinstance(note, FieldInfo) else [note]
    return []


def _entry(annotation: Any) -> Any:
    if get_origin(annotation) in (tuple, list):
        annotation = get_args(annotation)[0]
        if hasattr(annotation, "__metadata__"):
            return get_args(annotation)[0]
    return annotation
