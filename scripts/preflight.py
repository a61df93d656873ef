"""Check suites: build, run and sample every model once without memory or data, and say what each will cost."""

from genbench.commands.preflight import main
from genbench.machine.command_line import run

if __name__ == "__main__":
    run(main)
