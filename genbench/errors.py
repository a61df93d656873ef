"""The one exception for what a user can mend: scripts print its message as a single line and exit with status 2."""


class InputError(ValueError):
    """Bad input. The message names the file or entry, the key, what was found and what was expected."""
