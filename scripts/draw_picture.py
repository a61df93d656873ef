"""Draw what a model can show of itself beside samples, such as reconstructions: ten images in a row."""

from genbench.commands.draw_picture import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
