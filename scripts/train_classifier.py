"""Train the classifier of one data set, an evaluator where Inception does not fit, and measure its test accuracy."""

from genbench.commands.train_classifier import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
