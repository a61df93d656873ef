"""Measure how fast a trained model samples, with each of several samplers. Run nothing else beside it."""

from genbench.commands.measure_speed import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
