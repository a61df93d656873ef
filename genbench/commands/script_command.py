"""A sub-command made from a script's argparse parser: each flag is stated only once."""

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NoReturn

import typer
from typer.core import TyperCommand

from genbench.errors import InputError


def command_of(name: str, script: ModuleType) -> TyperCommand:
    """The sub-command `name`: argparse reads it with the script's `parser`, and typer explains and completes it.

    It calls the script's `main` with the same arguments.
    """
    parser: argparse.ArgumentParser = script.parser()

    def refuse(message: str) -> NoReturn:
        raise InputError(f"genbench {name}: {message}")

    class ScriptCommand(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            asks_for_help = not {"-h", "--help"}.isdisjoint(args)
            if asks_for_help or ctx.resilient_parsing:  # or for completion
                return super().parse_args(ctx, args)
            parser.error = refuse  # type: ignore[method-assign]
            parser.parse_args(args)
            ctx.args = args
            return args

        def invoke(self, ctx: Any) -> Any:
            return script.main(ctx.args)

    app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    app.command(name, cls=ScriptCommand, help=parser.description, epilog=parser.epilog)(_with_parameters_of(parser))
    command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand)
    return command


def _with_parameters_of(parser: argparse.ArgumentParser) -> Callable[..., None]:
    """A function whose signature describes the parser's arguments to typer."""

    def command(**_: Any) -> None: ...

    parameters = [
        inspect.Parameter(action.dest, inspect.Parameter.KEYWORD_ONLY, default=_shown(action), annotation=_kind(action))
        for action in parser._actions
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _shown(action: argparse.Action) -> Any:
    metavar = None if action.choices or action.nargs == 0 else str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return typer.Argument(..., help=action.help, metavar=metavar)
    default = action.default if action.default not in ("", [], {}) else None
    default = ... if action.required else default if action.nargs == 0 or default is None else str(default)
    return typer.Option(default, *action.option_strings, help=action.help, metavar=metavar)


def _kind(action: argparse.Action) -> Any:
    """The type by which typer names and completes a value."""
    if action.nargs == 0:
        return bool
    if action.choices:
        return Literal[tuple(map(str, action.choices))]
    kind = Path if action.type is Path else str
    return list[kind] if action.nargs in ("*", "+") and not action.option_strings else kind  # type: ignore[valid-type]
