"""Prepare one data set: train.npz, test.npz, and info.json, which says what is in them and where it came from."""

from genbench.commands.prepare_data import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
