"""The base of every configuration: frozen, typed, unknown keys refused, stored as TOML."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from hzsynth.core.config_fields import allowed_values, field_at
from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_text


def _sentence(error: ValidationError, kind: type[BaseModel]) -> str:
    first = error.errors()[0]
    place = tuple(part for part in first["loc"] if isinstance(part, str))
    key = ".".join(place)
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(kind.model_fields))
        return f"unknown configuration key '{key}'; allowed are {allowed}"
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        if not place:  # of the settings together
            return message
        if not message.startswith(f"`{key}`"):
            message = f"`{key}` is wrong: {message}"
        return f"{message}, not {first['input']!r}"
    if first["type"] == "missing":
        return f"`{key}` is missing"
    field = field_at(kind, place)
    if field is None or first["type"].startswith("string_"):
        return f"`{key}` is wrong: {first['msg']}, not {first['input']!r}"
    return f"`{key}` is {allowed_values(field)}, not {first['input']!r}"


def _without_none(value: Any) -> Any:
    # TOML has no null: a key that is None is left out, and comes back as its default.
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(v) for v in value]
    return value


def read_toml(file: Path | None) -> dict[str, object]:
    """The values of a --config file, not validated; none without a file.

    Raises:
        InputError: the file cannot be read or is no TOML.
    """
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read `config` '{file}': {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"`config` '{file}' is not valid TOML: {error}") from error


def overridden(values: Mapping[str, object], overrides: Mapping[str, object]) -> dict[str, object]:
    """The values with those laid over them that are not None, also within nested tables."""
    result = dict(values)
    for key, value in overrides.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = overridden(below, value)
        elif value is not None:
            result[key] = value
    return result


class Config(BaseModel):
    """A stage's settings. Subclasses declare typed fields with defaults and descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def from_sources(
        cls, file: Path | None = None, overrides: Mapping[str, object] | None = None
    ) -> Self:
        """Builds the configuration from a TOML file and options that override it.

        Args:
            file: a TOML file, or None.
            overrides: values that were given explicitly; None values count as not given.

        Returns:
            The validated configuration.

        Raises:
            InputError: the file cannot be read, or a key or value is not allowed.
        """
        values = overridden(read_toml(file), overrides or {})
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(_sentence(error, cls)) from error

    def to_toml(self) -> str:
        """The configuration as TOML text; keys that are None are left out."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))

    def save(self, path: Path) -> None:
        """Writes the configuration to a TOML file."""
        atomic_write_text(path, self.to_toml())
