"""Import samples from elsewhere into the pipeline, as the same files that scripts/sample.py writes."""

from genbench.commands.import_samples import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
