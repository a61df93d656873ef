"""The command `genbench`: a table of sub-commands, each a module that is imported only when it is called or explained.

To add one: a module in this folder, and its line in SECTIONS. The module has one of two shapes.

- `command`, a function for typer: its annotated parameters are the arguments and options, its docstring is the help,
  and it calls one function of the package (as in run.py, list_names.py, check.py).
- `parser` and `main`, as in every script that a rule calls. The flags are stated once, for argparse, which reads the
  command line; typer takes them from there for help, colours and completion (as in train.py).

Help and completion import all of these modules, so none imports torch, pandas or Snakemake at its top.
"""

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import genbench
from genbench.commands.script_command import command_of
from genbench.errors import InputError, unknown_name
from genbench.machine.checkout import enter_checkout
from genbench.machine.command_line import run

# By their headings in the help: each sub-command's name, and its module in this folder.
SECTIONS = {
    "Benchmarks": {"run": "run", "list": "list_names", "check": "check", "clean": "clean", "doctor": "doctor"},
    "Evaluation": {"evaluate": "evaluate_folders"},
    "Reference results": {"record": "record", "verify": "verify", "merge": "merge"},
    "Single steps": {"train": "train", "sample": "draw_images", "features": "extract_features"},
    "Files from elsewhere": {"prefetch": "prefetch", "import": "import_checkpoint", "export": "export_checkpoint"},
}
MODULES = {name: module for commands in SECTIONS.values() for name, module in commands.items()}


class Subcommands(TyperGroup):
    """The sub-commands of the table, loaded one by one."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        return load(cmd_name) if cmd_name in MODULES else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if not ctx.resilient_parsing and args[0] not in MODULES:
            raise unknown_name("genbench", args[0], MODULES)
        return super().resolve_command(ctx, args)


def load(name: str) -> TyperCommand:
    """The sub-command of this name, in its section."""
    module = importlib.import_module(f"{__package__}.{MODULES[name]}")
    command = _of_typer(name, module) if hasattr(module, "command") else command_of(name, module)
    command.rich_help_panel = next(section for section, commands in SECTIONS.items() if name in commands)
    return command


def _of_typer(name: str, module: ModuleType) -> TyperCommand:
    alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    alone.command(name, cls=getattr(module, "Command", TyperCommand))(module.command)
    made = typer.main.get_command(alone)
    assert isinstance(made, TyperCommand)
    return made


app = typer.Typer(
    cls=Subcommands, rich_markup_mode="markdown", context_settings={"help_option_names": ["-h", "--help"]}
)


def show_version(asked: bool) -> bool:
    """The option --version."""
    if asked:
        typer.echo(f"genbench {genbench.__version__}")
        raise typer.Exit
    return asked


@app.callback(epilog="Documents: README.md and docs/ of the source. `genbench COMMAND --help` explains a command.")
def genbench_command(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A reproducible benchmark of image generative models: train, sample, evaluate and report."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. An InputError becomes one line instead of a traceback."""
    if arguments is None:
        enter_checkout()
    given = list(sys.argv[1:] if arguments is None else arguments)
    run(lambda: call(given or ["--help"]))


def call(arguments: list[str]) -> None:
    """Run the command line `arguments`. Raises InputError for arguments that it cannot understand."""
    try:
        status = typer.main.get_command(app)(arguments, prog_name="genbench", standalone_mode=False)
    except typer.exceptions.TyperException as error:
        context = getattr(error, "ctx", None)
        raise InputError(f"{context.command_path if context else 'genbench'}: {error.format_message()}") from None
    if status == 130:  # typer's status for an interrupt
        raise KeyboardInterrupt
    sys.exit(status)
