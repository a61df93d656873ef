"""The one exception for what a user can mend: scripts print its message as a single line and exit with status 2."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

MOST_NAMES = 40  # that an error lists; of more it gives the nearest few
Options = Literal["keys", "card", "flags", "none"]
_options: ContextVar[Options] = ContextVar("options", default="keys")


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
    """The error for a name that is not in a closed set: it suggests the nearest name, and lists all or the nearest few.

    what: What the name stands for.
    """
    names = sorted(expected)
    if not names:
        return InputError(f"{what}: found {found!r}; expected none")
    spelled = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(str(found).casefold(), spelled, n=1)
    hint = f" (did you mean {spelled[near[0]]!r}?)" if near else ""
    some = f": {', '.join(names)}"
    if len(names) > MOST_NAMES:
        nearest = difflib.get_close_matches(str(found), names, n=MOST_NAMES // 4, cutoff=0)
        some = f" {len(names):,}, such as {', '.join(nearest)}"
    return InputError(f"{what}: found {found!r}{hint}; expected one of{some}")


@contextmanager
def reader_has(options: Options) -> Iterator[None]:
    """What `option` names inside: keys of a suite, of Python or of a hand-in's card; flags; none, if none converts."""
    token = _options.set(options)
    try:
        yield
    finally:
        _options.reset(token)


def option(name: str, value: object = None, flag: str | None = None) -> str:
    """An option as the reader of a message gives it: `image_size: 32` or `--image-size 32`; "" if there is none.

    flag: how a command calls it, if not by its name.
    """
    kind = _options.get()
    if kind == "none":
        return ""
    written, between = (name, ": ") if kind in ("keys", "card") else (flag or f"--{name.replace('_', '-')}", " ")
    return written if value is None else f"{written}{between}{value}"


def named(name: str) -> str:
    """The beginning of a message about an option's value: `key 'image_size'` or `--image-size`."""
    return f"key {name!r}" if _options.get() in ("keys", "card") else option(name)


def for_a_card() -> bool:
    """Whether the reader of a message can change only the card of a hand-in, beside its file."""
    return _options.get() == "card"
