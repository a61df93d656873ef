"""Draw images from a trained model: image i is a function of the model, the sampler's options and seed i."""

from genbench.commands.sample import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
