"""Draw samples, and below each the training image that is nearest to it: memorised samples can be seen."""

from genbench.commands.draw_neighbours import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
