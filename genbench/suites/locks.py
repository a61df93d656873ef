"""The differences between a suite and the suite that it extends, and the keys that may not differ."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from genbench.errors import InputError
from genbench.records.plan import Change, Parent

LOCKED = "locked"  # the key that lists the keys that an extending suite may not change
LONGEST = 200  # characters of a value
NOTHING = object()
Keys = tuple[str, ...]


def differences(base: Any, found: Any, where: Keys = ()) -> Iterator[tuple[Keys, Any, Any]]:
    """Each key whose value differs, with both values; NOTHING if absent. Only mappings are compared key by key."""
    if isinstance(base, Mapping) and isinstance(found, Mapping):
        for key in [*base, *(key for key in found if key not in base)]:
            if where or key != LOCKED:
                yield from differences(base.get(key, NOTHING), found.get(key, NOTHING), (*where, str(key)))
    elif type(base) is not type(found) or base != found:
        yield where, base, found


def check_locks(base: Any, found: Any, parent: str) -> None:
    """Raise InputError if a suite changes a key that its parent, or a suite that the parent extends, locks."""
    for keys, theirs, ours in differences(base, found):
        for pattern in locks_of(base):
            if is_locked(keys, pattern.split("."), base):
                raise InputError(
                    f"{': '.join(keys)}: found {shown(ours) or 'nothing'}, expected "
                    f"{shown(theirs) or 'nothing'} as in {parent}, which locks {pattern}"
                )


def locks_of(written: Any) -> list[str]:
    """The patterns under `locked`. Raises InputError unless they are a list of texts."""
    found = written.get(LOCKED, []) if isinstance(written, Mapping) else []
    if not isinstance(found, list) or not all(isinstance(pattern, str) and pattern for pattern in found):
        raise InputError(f"{LOCKED}: found {shown(found)}, expected a list of keys, such as [models.*.training]")
    return found


def is_locked(keys: Sequence[str], pattern: Sequence[str], base: Any) -> bool:
    """Whether a difference at `keys` is at, below or above a locked key; * stands for any key that `base` has.

    A new entry does not change the others: models.*.training allows new models, and models does not.
    """
    for key, part in zip(keys, pattern, strict=False):
        if not fnmatchcase(key, part):
            return False
        there = isinstance(base, Mapping) and key in base
        if "*" in part and not there:
            return False
        base = base[key] if there else None
    return True


def parent_of(name: str, base: Any, found: Any) -> Parent:
    """The plan's part about the suite that this one extends."""
    sha256 = hashlib.sha256(json.dumps(base, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()
    changes = [
        Change(key=".".join(keys), parent=shown(theirs), here=shown(ours))
        for keys, theirs, ours in differences(base, found)
    ]
    return Parent(suite=name, sha256=sha256, locked=locks_of(base), changes=changes)


def shown(value: Any) -> str | None:
    """A value in one line, cut off if it is long; None for NOTHING."""
    if value is NOTHING:
        return None
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
