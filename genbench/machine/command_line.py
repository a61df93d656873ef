"""What every command shares: types of arguments, logging, and one clear line instead of a traceback."""

import argparse
import json
import logging
import math
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genbench.errors import InputError
from genbench.machine.ranks import leave, meet, ranks


def json_argument(text: str) -> Any:
    """Parse a JSON argument: the JSON itself, or `@file` that holds it."""
    source = "the argument"
    if text.startswith("@"):
        source = text[1:]
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise argparse.ArgumentTypeError(f"{source}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise argparse.ArgumentTypeError(f"{source}: expected text in UTF-8") from None
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{source} is not valid JSON: {error}") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError if a key occurs twice: Python would silently keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} appears twice")
    return found


def _refuse_constant(name: str) -> float:
    """Refuse NaN and Infinity, which Python reads although JSON does not have them."""
    raise ValueError(f"found {name}, expected a finite number")


def range_argument(text: str) -> range:
    """Parse `START:STOP` into a range of seeds, 0 <= START < STOP."""
    start, colon, stop = text.partition(":")
    if not (colon and _is_number(start) and _is_number(stop) and int(start) < int(stop)):
        raise argparse.ArgumentTypeError(f"expected START:STOP with 0 <= START < STOP, such as 0:50000, found {text!r}")
    return range(int(start), int(stop))


def _is_number(text: str) -> bool:
    """Whether it is a whole number, in at most 18 ASCII digits: below 2^63."""
    return text.isascii() and text.isdecimal() and len(text) <= 18


def positive_argument(text: str) -> int:
    """Parse a whole number of at least 1."""
    if not _is_number(text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected a whole number of at least 1")
    return int(text)


def _at_most(text: str, most: int) -> int:
    if (value := positive_argument(text)) > most:
        raise argparse.ArgumentTypeError(f"found {text}, expected a whole number of at most {most}")
    return value


def threads_argument(text: str) -> int:
    """Parse a number of threads, at most 4096."""
    return _at_most(text, 4096)


def batch_argument(text: str) -> int:
    """Parse how many images are computed at once, at most a million."""
    return _at_most(text, 1_000_000)


def seed_argument(text: str) -> int:
    """Parse the seed of a training, below 2^32 as in a suite."""
    if not _is_number(text) or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"found {text}, expected a whole number from 0 to {2**32 - 1}")
    return int(text)


def share_argument(text: str) -> float:
    """Parse a number from 0 to 1."""
    return _number_argument(text, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def seconds_argument(text: str) -> float:
    """Parse a number of seconds, at least 0 and finite."""
    return _number_argument(text, lambda value: 0 <= value < math.inf, "a finite number of at least 0")


def _number_argument(text: str, fits: Callable[[float], bool], expected: str) -> float:
    try:
        if fits(value := float(text)):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"found {text}, expected {expected}")


def interval_argument(text: str) -> tuple[float, float]:
    """Parse two finite numbers, the lower first, as a JSON list."""
    ends = json_argument(text)
    if not (
        isinstance(ends, list) and [type(end) in (int, float) for end in ends] == [True, True] and ends[0] < ends[1]
    ):
        raise argparse.ArgumentTypeError(f"found {text}, expected two numbers, the lower first, such as [0, 1]")
    return float(ends[0]), float(ends[1])


def object_argument(text: str) -> dict[str, Any]:
    """Parse a JSON object, as `json_argument` does."""
    value = json_argument(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("expected a JSON object")
    return value


def label_log(out: Path) -> None:
    """Begin every log line with the folder of `out`, which distinguishes parallel jobs. Only the first rank logs
    progress."""
    if not ranks().first:
        logging.disable(logging.INFO)
    label = out.parent.as_posix().removeprefix("results/").removeprefix("resources/")
    for handler in logging.getLogger().handlers:
        handler.setFormatter(logging.Formatter(f"%(asctime)s {label}: %(message)s", datefmt="%H:%M:%S"))


def run(main: Callable[[], None]) -> None:
    """Run a script's `main`. InputError becomes one line on standard error and exit status 2. An error in one rank
    ends all ranks."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    try:
        main()
        meet()
    except InputError as error:
        leave(f"error: {error}", 2)
    except KeyboardInterrupt:
        leave("interrupted", 130)
    except OSError as error:  # such as a full disk
        if error.errno is None:
            leave(traceback.format_exc(), 1)
        # Without a file's name, only the place in the code shows what the error is about.
        trace = traceback.format_exc(limit=-3) if error.filename is None else ""
        leave(f"{trace}error: {error.filename or 'input/output'}: {error.strerror}", 2)
    except Exception:
        leave(traceback.format_exc(), 1)
