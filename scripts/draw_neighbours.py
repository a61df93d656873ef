"""Draw samples, and below each its nearest training image, which makes memorised samples visible."""

from genbench.commands.draw_neighbours import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
