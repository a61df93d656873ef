"""Convert a model.safetensors to a checkpoint of another project."""

from genbench.commands.export_checkpoint import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
