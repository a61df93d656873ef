"""Compare samples with those that another network of the same model drew from the same seeds, image by image."""

from genbench.commands.compare_samples import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
