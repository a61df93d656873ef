"""Render the page of a suite of language models, and its table as CSV."""

from genbench.commands.render_language_report import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
