"""Draw 100 images of a set, in a fixed random order, as one picture."""

from genbench.commands.draw_grid import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
