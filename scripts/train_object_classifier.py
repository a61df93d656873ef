"""Train the classifier of a data set's objects, the evaluator of conditional models, and measure its own accuracy."""

from genbench.commands.train_object_classifier import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
