"""The root command: it knows the rooms by name and imports one when something in it is asked for."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hzsynth.cli.pages import CommandPage, GroupPage


@dataclass(frozen=True)
class Room:
    """A group of commands, or a single command, at the root.

    Attributes:
        name: as typed.
        place: ``module:attribute`` of its `Group` or `Command`.
        text: what the root's help says of it.
    """

    name: str
    place: str
    text: str

    def load(self) -> Any:
        """The group or command for the parser."""
        module, attribute = self.place.split(":")
        built = getattr(import_module(module), attribute).build()
        built.name = self.name
        return built


class Root(GroupPage):
    """Lists the rooms without importing them."""

    rooms: tuple[Room, ...] = ()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {room.name: CommandPage(room.name, help=room.text) for room in self.rooms}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The real command, where `get_command` gives one that only has a name and a text."""
        name, listed, rest = super().resolve_command(ctx, args)
        if listed is None:
            return name, listed, rest
        return name, next(room for room in self.rooms if room.name == name).load(), rest
