"""`python -m genbench` runs the command `genbench`."""

from genbench.commands.app import main

main()
