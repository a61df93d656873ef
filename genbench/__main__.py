"""`python -m genbench` is the command `genbench`."""

from genbench.commands.app import main

main()
