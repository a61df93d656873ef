"""Bits per dimension of held-out images: a diffusion model's variational bound on -log2 p, with its terms."""

from genbench.commands.evaluate_likelihood import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
