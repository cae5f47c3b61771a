"""How help looks: arguments in the usage line without braces, flags without a type."""

from typing import Any

from typer.core import TyperCommand, TyperGroup


def _without_type(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


class CommandPage(TyperCommand):
    """The help of a command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, with nothing to be typed after a flag."""
        return _without_type(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Arguments before options, such as ``RUN IMAGE... [OPTIONS]``."""
        arguments = []
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "argument":
                name = str(parameter.metavar or parameter.name).strip("[]")
                arguments.append(name if parameter.required else f"[{name}]")
        return [*arguments, "[OPTIONS]"]


class GroupPage(TyperGroup):
    """The help of a group."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, with nothing to be typed after a flag."""
        return _without_type(super().get_params(ctx))
