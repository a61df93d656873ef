"""How fast a trained model samples, timed with each of some samplers. Run it with nothing else beside it."""

from genbench.commands.measure_speed import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
