"""Count with a classifier how many of the requested objects the samples of a conditional model show."""

from genbench.commands.evaluate_objects import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
