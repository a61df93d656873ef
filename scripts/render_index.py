"""Render the first page of a report, over every suite that has a page there."""

from genbench.commands.render_index import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
