"""The one exception for what a user can mend: scripts print its message as a single line and exit with status 2."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


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


def unknown_name(what: str, found: Any, expected: Iterable[str]) -> InputError:
    """The error for a name that is not in a closed set, with the nearest one suggested. `what` says what it names."""
    names = sorted(expected)
    if not names:
        return InputError(f"{what}: found {found!r}; expected none")
    near = difflib.get_close_matches(str(found), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return InputError(f"{what}: found {found!r}{hint}; expected one of: {', '.join(names)}")
