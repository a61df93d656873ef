"""Compute the features of a set of images, real or generated, after checking that they are images."""

from genbench.commands.extract_features import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
