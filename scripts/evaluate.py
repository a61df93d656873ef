"""Metrics of generated images against real ones, from the features of both. No network runs here, and no GPU."""

from genbench.commands.evaluate import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
