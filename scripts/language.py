"""Language models: prepare a text, train, score, write texts: each step is what one rule of rules/language.smk does."""

from genbench.commands.language import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
