"""Read a suite's file as strict YAML, and merge it with the suite that it extends."""

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from genbench.errors import InputError, place, unknown_name
from genbench.machine.checkout import ROOT
from genbench.records.plan import Parent
from genbench.suites.locks import LOCKED, check_locks, locks_of, parent_of

DEEPEST = 50  # levels of mappings and lists in a suite
EXTENDS = "extends"  # the key that names another suite, whose keys hold unless this one replaces them
MOST_PARENTS = 5


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe YAML loader that refuses duplicate keys. YAML's own loader silently keeps the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *other` may be given twice, and overridden
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                kind = "a list" if isinstance(key, list) else "a mapping"
                raise yaml.constructor.ConstructorError(
                    None, None, f"found {kind} as a key, expected text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} appears twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int:
        """Refuse numbers that YAML 1.1 reads unexpectedly: 0500 is octal there, and 1:30 is 90."""
        if re.match(r"[-+]?0_*[0-7]|.*:", node.value):
            found = f"found the number {node.value}, expected it in decimal, without a leading 0 or a colon"
            raise yaml.constructor.ConstructorError(None, None, found, node.start_mark)
        return super().construct_yaml_int(node)


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:int", _UniqueKeyLoader.construct_number)


def read_yaml(path: Path) -> Any:
    """Read a YAML file strictly. Raises InputError that begins with its path."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {str(error.strerror).lower()}, expected a YAML file") from None
    except UnicodeDecodeError as error:
        found_byte = f"found the byte 0x{error.object[error.start]:02x} at position {error.start}"
        raise InputError(f"{path}: {found_byte}, expected text in UTF-8") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:  # ValueError: dates such as 2026-02-30
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    with place(path):
        _check_values(found)
    return found


def _check_values(value: Any, depth: int = 0) -> None:
    """Check that all numbers are finite, that all keys are text, and that no value contains itself, as YAML allows."""
    if depth > DEEPEST:
        raise InputError(f"found more than {DEEPEST} levels, expected fewer")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"found {value}, expected a finite number")
    if isinstance(value, Mapping):
        for key, part in value.items():
            if not isinstance(key, str):
                raise InputError(f"found the key {key!r}, expected text: write '{key}'")
            with place(key):
                _check_values(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check_values(part, depth + 1)


def find_suite(name: str, what: str = "config: key 'suite'") -> Path:
    """The file of a suite: suites/{name}.yaml, or a path as given. `what` begins an error."""
    if name.startswith("-"):
        raise InputError(f"{what}: found {name!r}, expected a name or path that does not begin with '-'")
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name)
    known = {path.stem: path for path in (ROOT / "suites").glob("*.yaml")}
    if name not in known:
        raise unknown_name(what, name, [*known, "a path such as my/suite.yaml"])
    return known[name]


def read_with_parent(path: Path, chain: Sequence[Path] = ()) -> tuple[Any, Parent | None]:
    """Read a suite's file, merged with the suite that it `extends`; and return that parent, with differences and locks.

    chain: files that extend this one. Raises InputError if the file changes a key that a parent locks.
    """
    written = read_yaml(path)
    with place(path):
        own = locks_of(written)
    if not isinstance(written, Mapping) or EXTENDS not in written:
        return written, None
    chain = [*chain, path.resolve()]
    changes = {key: value for key, value in written.items() if key not in (EXTENDS, LOCKED)}
    name = written[EXTENDS]
    with place(path, EXTENDS):
        if not isinstance(name, str):
            raise InputError(f"found {name!r}, expected the name or the path of a suite")
        parent = find_suite(name, "suite")
        parent = parent if parent.is_absolute() else path.parent / parent
        if parent.resolve() in chain:
            raise InputError(f"found {name!r}, expected a suite that does not extend this one")
        if len(chain) > MOST_PARENTS:
            raise InputError(f"found {name!r}, expected at most {MOST_PARENTS} suites that extend one another")
        base, _ = read_with_parent(parent, chain)
    found = merged(base, changes)
    with place(path):
        check_locks(base, found, name)
    if locked := list(dict.fromkeys([*locks_of(base), *own])):
        found[LOCKED] = locked
    return found, parent_of(parent.stem, base, found)


def merged(base: Any, changes: Any) -> Any:
    """Apply changes to a value like a JSON merge patch (RFC 7396): mappings are merged key by key, other values are
    replaced, and null removes a key."""
    if not isinstance(changes, Mapping):
        return changes
    found = dict(base) if isinstance(base, Mapping) else {}
    for key, change in changes.items():
        if change is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), change)
    return found
