"""Render the page of a suite, and its table as CSV."""

from genbench.commands.render_report import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
