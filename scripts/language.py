"""Language models: prepare a text, train, score and write texts; each step is one rule of rules/language.smk."""

from genbench.commands.language import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
