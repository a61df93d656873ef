"""Draw one of a model's own pictures, such as reconstructions, with ten images per row."""

from genbench.commands.draw_picture import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
