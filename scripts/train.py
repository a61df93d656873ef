"""Train one model of a suite; stop and run again to continue."""

from genbench.commands.train import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
