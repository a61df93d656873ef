"""Download every data set and every file of weights that a suite needs, so that its jobs need no network."""

from genbench.commands.prefetch import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
