"""Where the workflow is: Snakefile, rules/, scripts/, suites/, report/ and the other folders beside the package.

In a checkout they are beside the package; when installed, they are inside it (pyproject.toml puts them into the wheel).
"""

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
WORKFLOW = "workflow"  # in a wheel, the folder of the package that holds them


def find_root(package: Path = PACKAGE) -> Path:
    """The folder of Snakefile, suites/ and the others, for this package or for another installed one."""
    return package.parent if is_checkout(package.parent) else package / WORKFLOW


def is_checkout(folder: Path) -> bool:
    """Whether a folder is the top of a checkout of genbench: it has the workflow and the package side by side."""
    return (folder / "Snakefile").is_file() and (folder / "genbench" / "__init__.py").is_file()


ROOT = find_root()


def enter_checkout() -> None:
    """If the working folder is another checkout than this code's, replace this process by that checkout's `genbench`.

    The command, rules and jobs of a checkout then all have its version, whatever else is installed.
    """
    here = Path.cwd()
    if is_checkout(here) and (here / "genbench/__main__.py").is_file() and not PACKAGE.samefile(here / "genbench"):
        os.execv(sys.executable, [sys.executable, "-m", "genbench", *sys.argv[1:]])
