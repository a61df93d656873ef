"""Where the workflow lies: Snakefile, rules/, scripts/, suites/, report/ and the other folders beside the package.

In a checkout they stand beside the package; in an installed one, inside it (pyproject.toml puts them into the wheel).
"""

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
WORKFLOW = "workflow"  # the folder of the package that holds them in a wheel


def find_root(package: Path = PACKAGE) -> Path:
    """The folder of Snakefile, suites/ and the others, for this package or for that of another installation."""
    return package.parent if is_checkout(package.parent) else package / WORKFLOW


def is_checkout(folder: Path) -> bool:
    """Whether a folder is the top of a checkout of genbench: it has the workflow and the package side by side."""
    return (folder / "Snakefile").is_file() and (folder / "genbench" / "__init__.py").is_file()


ROOT = find_root()


def enter_checkout() -> None:
    """Where the working folder is another checkout than that of this code, go on as that one's own `genbench`.

    So a checkout's command, rules and jobs are of one version, whatever is installed besides.
    """
    here = Path.cwd()
    if is_checkout(here) and (here / "genbench/__main__.py").is_file() and not PACKAGE.samefile(here / "genbench"):
        os.execv(sys.executable, [sys.executable, "-m", "genbench", *sys.argv[1:]])
