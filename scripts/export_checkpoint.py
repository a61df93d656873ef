"""Turn a model.safetensors into a checkpoint of another project, to be used there."""

from genbench.commands.export_checkpoint import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
