"""Every number that a suite or a configuration may state has a smallest and a largest value."""

import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest
import torch
from annotated_types import Interval

from genbench import models, networks
from genbench.data.datasets import SOURCES
from genbench.importing import FORMATS
from genbench.mappings import Keys
from genbench.metrics import EvaluationOptions
from genbench.models.diffusion import Diffusion
from genbench.processes.ada import AUGMENTATIONS
from genbench.processes.adversarial import PENALTIES
from genbench.processes.degradations import DEGRADATIONS
from genbench.processes.samplers import SAMPLERS
from genbench.processes.schedule import SCHEDULES
from genbench.processes.time_samplers import TIME_SAMPLERS
from genbench.ranges import bounds
from genbench.schema import annotations, check_arguments
from genbench.suites.config import Config
from genbench.suites.keys import Suite
from genbench.suites.language import LanguageSuite
from genbench.training.recipe import OptimizerConfig, TrainConfig
from tools.signatures import FILLED, classes, parameters


def unbounded(annotation: Any, ends: frozenset[str] = frozenset()) -> Iterator[type]:
    """Yield the numbers in an annotation without a lower or an upper bound; ends: bounds from enclosing annotations."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        yield from unbounded(parts[0], ends | bounds(annotation).keys())
    elif annotation in (int, float):
        if not (ends & {"ge", "gt"} and ends & {"le", "lt"}):
            yield annotation
    elif origin is not Literal:
        for part in parts:
            yield from unbounded(part, ends if origin in (types.UnionType, typing.Union) else frozenset())


def signatures() -> dict[str, tuple[Callable[..., Any], tuple[str, ...]]]:
    """Return every function and class whose keywords are keys of a suite, with the keywords the program fills in."""
    found: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {}
    for name, model in classes(models, models.Model).items():
        found |= {name: (model, ("image_shape",)), f"{name}.sample": (model.sample, ())}
        found |= {f"{name}: {method}": (function, ()) for method, function in model.methods.items()}
    found |= {name: (network, FILLED) for name, network in classes(networks, torch.nn.Module).items()}
    tables: list[Mapping[str, Callable[..., Any]]] = [
        SOURCES, FORMATS, SAMPLERS, SCHEDULES, TIME_SAMPLERS, PENALTIES, AUGMENTATIONS, DEGRADATIONS
    ]  # fmt: skip
    for table in tables:
        found |= {name: (function, ()) for name, function in table.items()}
    others = (Diffusion.walk, TrainConfig, OptimizerConfig, EvaluationOptions)
    return found | {other.__qualname__: (other, ()) for other in others}


def key_models(model: type[Keys]) -> Iterator[type[Keys]]:
    """Yield a model of keys, and every model that its values may be."""
    yield model

    def within(annotation: Any) -> Iterator[type[Keys]]:
        if isinstance(annotation, type) and issubclass(annotation, Keys):
            yield from key_models(annotation)
        for part in typing.get_args(annotation):
            yield from within(part)

    for annotation in typing.get_type_hints(model, include_extras=True).values():
        yield from within(annotation)


SIGNATURES = signatures()


@pytest.mark.parametrize("name", SIGNATURES)
def test_every_number_of_a_signature_has_both_ends(name: str) -> None:
    function, filled = SIGNATURES[name]
    hints = annotations(function)
    assert [key for key in parameters(function, filled) if list(unbounded(hints[key]))] == []


@pytest.mark.parametrize("root", [Config, Suite, LanguageSuite])
def test_every_number_of_the_keys_has_both_ends(root: type[Keys]) -> None:
    found = set(key_models(root))
    assert len(found) > {Suite: 8, LanguageSuite: 8, Config: 0}[root]  # also those of entries, recipes and sizes
    for model in found:
        hints = typing.get_type_hints(model, include_extras=True)
        assert [key for key in model.model_fields if list(unbounded(hints[key]))] == [], model


def test_a_number_without_a_range_is_found() -> None:
    def bad(
        *, width: int, rate: Annotated[float, Interval(ge=0)] = 1.0, sides: Sequence[int] | None = None
    ) -> None: ...

    assert [key for key, hint in annotations(bad).items() if list(unbounded(hint))] == ["width", "rate", "sides"]
    assert not list(unbounded(Annotated[int, Interval(ge=0, lt=9)] | Literal["all"] | bool | None))


def test_shipped_values_of_a_diverging_training_are_within() -> None:
    """A learning rate that makes a model diverge is in the allowed range (case C1)."""
    assert check_arguments(OptimizerConfig, {"algorithm": "sgd", "lr": 1.0e6})["lr"] == 1e6
