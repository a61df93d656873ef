"""The one exception for what a user can mend: scripts print its message as a single line and exit with status 2."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input. The message names the file or entry, the key, what was found and what was expected."""


@contextmanager
def place(*parts: object) -> Iterator[None]:
    """Put `parts` before the message of an InputError raised inside: `suites/x.yaml: models: gan: key 'lr': ...`.

    Nested places add up, the outermost first. It is the same exception that goes on; others pass as they are.
    """
    try:
        yield
    except InputError as error:
        error.args = (": ".join(map(str, (*parts, error))),)
        raise
