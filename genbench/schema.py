"""Signatures as schemas: check the keys and values of a suite's entry against the function that receives them."""

import importlib
import importlib.util
import inspect
import itertools
import operator
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from genbench import own_code
from genbench.errors import InputError, place, unknown_name
from genbench.ranges import ENDS, LIMITS, bounds


def words(annotation: Any) -> str:
    """An annotation as a user reads it: `int`, `one of 'gan', 'lsgan'`, `a list of int`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (None, types.NoneType):
        return "null"
    if origin is Annotated:
        return " ".join([words(arguments[0]), *(f"{ENDS[name]} {end}" for name, end in bounds(annotation).items())])
    if origin in (types.UnionType, typing.Union):
        return " or ".join(words(argument) for argument in arguments)
    if origin is Literal:
        return "one of " + ", ".join(repr(argument) for argument in arguments)
    if origin in (tuple, list, Sequence):
        return (
            f"a list of {words(arguments[0])}"
            if origin is not tuple or ... in arguments
            else (f"a list of {len(arguments)} values ({', '.join(words(argument) for argument in arguments)})")
        )
    if origin is Mapping or annotation is Mapping:
        return "a mapping"
    return {int: "an integer", float: "a number", str: "a string", bool: "true or false"}.get(
        annotation, str(annotation)
    )


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a value read from YAML or JSON fits an annotation made of plain types, lists, mappings and unions."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return True
    if origin is Annotated:
        ends = bounds(annotation).items()
        return _fits(value, arguments[0]) and all(getattr(operator, name)(value, end) for name, end in ends)
    if annotation in (None, types.NoneType):
        return value is None
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, argument) for argument in arguments)
    if origin is Literal:
        return any(value == argument and type(value) is type(argument) for argument in arguments)
    if origin in (tuple, list, Sequence):
        if not isinstance(value, (list, tuple)):
            return False
        if origin is tuple and ... not in arguments:
            return len(value) == len(arguments) and all(map(_fits, value, arguments))
        return all(_fits(element, arguments[0]) for element in value)
    if origin is Mapping or annotation is Mapping:
        return isinstance(value, Mapping) and (not arguments or all(_fits(v, arguments[1]) for v in value.values()))
    if annotation is float:  # and finite
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and abs(value) <= sys.float_info.max
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation)


def _expected(value: Any, annotation: Any) -> str:
    """What was expected instead of `value`: the range only, if its type is right."""
    if isinstance(value, float) and not abs(value) <= sys.float_info.max:
        return "a finite number"
    union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    for part in typing.get_args(annotation) if union else (annotation,):
        if typing.get_origin(part) is Annotated and _fits(value, typing.get_args(part)[0]):
            return " and ".join(f"{LIMITS[name]} {end}" for name, end in bounds(part).items())
    return words(annotation)


def annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function's or class's parameters, with their ranges."""
    own = function.__init__ if inspect.isclass(function) else function
    return typing.get_type_hints(own, include_extras=True)


def keywords(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a function or class: the keys of an entry."""
    found = inspect.signature(function).parameters
    return {name: parameter for name, parameter in found.items() if parameter.kind is parameter.KEYWORD_ONLY}


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """The defaults of a function's keywords; None for a keyword without a default."""
    found = keywords(function).items()
    return {name: None if parameter.default is parameter.empty else parameter.default for name, parameter in found}


def divided(options: Mapping[str, Any], *functions: Callable[..., Any]) -> list[dict[str, Any]]:
    """Options for each of `functions`, by the first that has the keyword; the last part has those of none."""
    parts: list[dict[str, Any]] = [{} for _ in (*functions, None)]
    for key, value in options.items():
        parts[next((i for i, function in enumerate(functions) if key in keywords(function)), -1)][key] = value
    return parts


def renamed(options: Mapping[str, Any], **keys: str) -> dict[str, Any]:
    """Options with old keys renamed: keys are old=new. Raises InputError if both names of a key are given."""
    for old, new in keys.items():
        if old in options and new in options:
            raise InputError(f"key {old!r}: found beside {new!r}, its new name; expected one of the two")
    return {keys.get(key, key): value for key, value in options.items()}


def check_arguments(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    given: Sequence[str] = (),
    also: Sequence[str] = (),
) -> dict[str, Any]:
    """Check that `arguments` fit the keyword-only parameters of `function`, and return them. Integers become floats
    where numbers are expected. Raises InputError for an unknown or missing key, and for a value of another type.

    given: parameters that the program fills in, which a user may not give.
    also: keys of the entry that were read before, for the list of expected keys.
    """
    parameters = {name: parameter for name, parameter in keywords(function).items() if name not in given}
    for key in arguments:
        if key not in parameters:
            raise unknown_name("unknown key", key, [*also, *parameters])
    for name, parameter in parameters.items():
        if name not in arguments and parameter.default is parameter.empty:
            raise InputError(f"key {name!r} is missing; expected keys: {', '.join([*also, *parameters])}")
    hints = annotations(function)
    for key, value in arguments.items():
        if key in hints and not _fits(value, hints[key]):
            hint = ""
            if isinstance(value, str) and "e" in value.lower() and not _is_text(value):
                hint = " (YAML reads 2e-4 as a string; write 2.0e-4)"
            raise InputError(f"key {key!r}: found {value!r}{hint}, expected {_expected(value, hints[key])}")
    return {key: _converted(value, hints.get(key)) for key, value in arguments.items()}


def _converted(value: Any, annotation: Any) -> Any:
    """Convert a checked value to its annotation: YAML reads the number 1 as an integer, and a tuple as a list."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if value is None:
        return None
    if origin is Annotated:
        return _converted(value, arguments[0])
    if origin in (types.UnionType, typing.Union) and len(arguments) == 2 and types.NoneType in arguments:
        return _converted(value, next(part for part in arguments if part is not types.NoneType))
    if annotation is float:
        return float(value)
    if origin is tuple:
        inner = itertools.chain(arguments, itertools.repeat(Any))
        return tuple(map(_converted, value, inner))
    return value


def _is_text(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return True
    return False


def choose(table: Mapping[str, Callable[..., Any]], entry: str | Mapping[str, Any]) -> Callable[..., Any]:
    """The function of `table` that `entry` names, with its options bound.

    `entry` is a name, or a mapping with the key `name` and the function's keyword-only options beside it.
    """
    options = {"name": entry} if isinstance(entry, str) else dict(entry)
    if "name" not in options:
        raise InputError(f"key 'name' is missing; expected one of: {', '.join(sorted(table))}")
    name = str(options.pop("name"))
    function = find_function(table, name, "name")
    with place(name):
        return partial(function, **check_arguments(function, options, also=["name"]))


def find_function(
    table: Mapping[str, Callable[..., Any]], name: Any, what: str, takes: Sequence[str] | None = None
) -> Callable[..., Any]:
    """The function of this name in `table`, or in a user's own file.

    `what` begins errors. `takes` names the positional arguments that the function will receive.
    Raises InputError for an unknown name, and for own code that is not a function of these arguments.
    """
    if own_code.parse(name) is None:
        if not isinstance(name, str) or name not in table:
            raise unknown_name(what, name, table)
        return table[name]
    function = own_code.load(name)
    if not callable(function):
        raise InputError(f"{what}: found {type(function).__name__} at {name}, expected a function")
    if takes is not None:
        try:
            inspect.signature(function).bind_partial(*takes)
        except TypeError:
            raise InputError(
                f"{what}: found {name}{inspect.signature(function)}, expected ({', '.join(takes)}, *, its own options)"
            ) from None
    return function


def find_class(package: str, dotted: Any, base: type | None = None) -> type:
    """The class at a dotted path inside `package`, such as `gan.GAN` in `genbench.models`; or in a user's own file."""
    if own_code.parse(dotted):
        own = own_code.load(dotted)
        if not inspect.isclass(own) or not issubclass(own, base or object):
            kind = "a class" if base is None else f"a class derived from {base.__module__}.{base.__name__}"
            raise InputError(f"class: found {own!r} at {dotted}, expected {kind}")
        if inspect.isabstract(own):
            raise InputError(
                f"class: {dotted}: found no {' and no '.join(sorted(getattr(own, '__abstractmethods__', ())))}"
            )
        return own
    module_name, _, class_name = str(dotted).rpartition(".")
    try:
        if not module_name or not all(part.isidentifier() for part in str(dotted).split(".")):
            raise ModuleNotFoundError(name=f"{package}.{module_name}")
        module = importlib.import_module(f"{package}.{module_name}")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(package):
            raise  # the module exists, but a package that it imports is missing
        raise InputError(
            f"class: found {dotted!r}, and there is no module {package}.{module_name}; "
            "expected module.Class, such as vae.VAE, or FILE.py:Class, such as ./my.py:Flow"
        ) from None
    found = getattr(module, class_name, None)
    if not inspect.isclass(found) or (base is not None and not issubclass(found, base)):
        names = [
            name
            for name, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
        ]
        raise unknown_name(f"class in {module.__name__}", class_name, names)
    return found


def construct(package: str, entry: Mapping[str, Any], base: type | None = None, **given: Any) -> Any:
    """Build the object that a suite's entry describes: `class` is its dotted path, the rest its keyword arguments.

    given: arguments that the program fills in, if the constructor has them.
    """
    arguments = dict(entry)
    if "class" not in arguments:
        raise InputError("key 'class' is missing; expected module.Class, such as vae.VAE")
    found = find_class(package, arguments.pop("class"), base)
    arguments = check_arguments(found, arguments, given=tuple(given), also=["class"])
    taken = inspect.signature(found).parameters
    return found(**arguments, **{name: value for name, value in given.items() if name in taken})


def without_defaults(package: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry and its parts, without the keys whose values are the defaults of their class's constructor.

    Parts are entries with a `class` in genbench.networks, or else in genbench.models.
    """
    parameters = inspect.signature(find_class(package, entry["class"])).parameters
    kept: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, Mapping) and "class" in value:
            kept[key] = without_defaults(_package_of_part(value["class"]), value)
        elif key not in parameters or (type(value), value) != (type(default := parameters[key].default), default):
            kept[key] = value
    return kept


def _package_of_part(dotted: str) -> str:
    if own_code.parse(dotted):
        return "genbench.models"  # or any other
    module = str(dotted).rpartition(".")[0]
    return "genbench.networks" if importlib.util.find_spec(f"genbench.networks.{module}") else "genbench.models"
