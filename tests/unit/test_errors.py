"""The place of an error: callers put it before the message, the outermost first."""

import traceback
from pathlib import Path

import pytest

from genbench.errors import InputError, place, unknown_name


def quiet_failure(error: Exception) -> None:
    """Raise `error` instead of another exception, as the code does if the other one does not help a user."""
    try:
        int("x")
    except ValueError:
        raise error from None


def test_nested_places_make_one_line() -> None:
    with pytest.raises(InputError) as caught, place(Path("suites/x.yaml"), "models", "gan"), place("training"):
        raise InputError("key 'lr': found 'x', expected a number")
    assert str(caught.value) == "suites/x.yaml: models: gan: training: key 'lr': found 'x', expected a number"


def test_parts_are_any_number_of_anything() -> None:
    with pytest.raises(InputError, match=r"^7: found 3$"), place(7), place():
        raise InputError("found 3")


def test_a_place_that_was_left_is_not_named() -> None:
    with place("first"):
        pass
    with pytest.raises(InputError, match=r"^second: found 3$"), place("second"):
        raise InputError("found 3")


def test_other_exceptions_pass_as_they_are() -> None:
    error = ValueError("not the user's fault")
    with pytest.raises(ValueError, match=r"^not the user's fault$") as caught, place("suites/x.yaml"):
        raise error
    assert caught.value is error


def test_no_other_exception_is_shown_with_it() -> None:
    error = InputError("found 3")
    with pytest.raises(InputError) as caught, place("a"), place("b"):
        quiet_failure(error)
    assert caught.value is error
    shown = traceback.format_exception(error)
    assert shown[-1].endswith("InputError: a: b: found 3\n")
    assert sum("Error: " in line for line in shown) == 1


def test_a_cause_is_kept() -> None:
    cause = RuntimeError("shapes")
    with pytest.raises(InputError, match=r"^a: does not run: shapes$") as caught, place("a"):
        raise InputError(f"does not run: {cause}") from cause
    assert caught.value.__cause__ is cause


def test_of_many_names_an_error_gives_the_nearest_few() -> None:
    few = [f"gan-{budget}T/seed{seed}" for budget in (1, 4) for seed in range(3)]
    message = str(unknown_name("only", "gan-2T/seed0", few))
    assert message.endswith(f"found 'gan-2T/seed0' (did you mean 'gan-4T/seed0'?); expected one of: {', '.join(few)}")
    many = [f"{model}{number}" for model in ("gan", "vae") for number in range(30)]
    message = str(unknown_name("only", "gann7", many))
    assert message.startswith("only: found 'gann7' (did you mean 'gan7'?); expected one of 60, such as gan7, ")
    assert message.count(",") == 10
