"""Take samples that were drawn elsewhere into the pipeline: the same files as scripts/sample.py writes."""

from genbench.commands.import_samples import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
