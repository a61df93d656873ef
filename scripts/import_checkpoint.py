"""Convert another project's checkpoint to a model.safetensors, which is sampled and evaluated like one trained here."""

from genbench.commands.import_checkpoint import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
