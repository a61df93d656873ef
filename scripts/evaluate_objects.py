"""How many of the objects that a conditional model was asked for do its samples show, by a classifier of objects?"""

from genbench.commands.evaluate_objects import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
