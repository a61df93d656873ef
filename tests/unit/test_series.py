"""One recipe at several budgets, and suites that extend others."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from genbench.errors import InputError
from genbench.suites.load import find_suite, load_suite
from genbench.suites.read import merged

VAE: dict[str, Any] = {
    "label": "A VAE",
    "model": {"class": "vae.VAE"},
    "training": {"flops": [1.0e12, 4.0e12], "batch_size": 8},
}
TWO = {"first_stage": ["vae-1T", "vae-4T"], "model": {"class": "diffusevae.DiffuseVAE"}}
TWO |= {"training": {"flops": [4.0e12, 1.6e13], "batch_size": 8}}


def loaded(folder: Path, name: str = "toy", **suite: Any) -> dict[str, Any]:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(suite, sort_keys=False))
    return load_suite(path)


def toy(folder: Path, **models: Any) -> dict[str, Any]:
    found: dict[str, Any] = loaded(folder, title="Toy", dataset={"source": "demo"}, models=models)["models"]
    return found


def test_an_entry_with_several_budgets_is_an_entry_for_each(tmp_path: Path) -> None:
    models = toy(tmp_path, vae=VAE, two=TWO, one={**VAE, "training": {"flops": 1.0e12, "batch_size": 8}})
    assert list(models) == ["vae-1T", "vae-4T", "two-4T", "two-16T", "one"]
    assert [entry["training"]["flops"] for entry in models.values()] == [1e12, 4e12, 4e12, 16e12, 1e12]
    assert [entry.get("series") for entry in models.values()] == ["A VAE", "A VAE", "two", "two", None]
    assert [models[name]["label"] for name in ("vae-1T", "one")] == ["A VAE, 1T FLOPs", "A VAE"]
    assert models["two-16T"]["first_stage_entry"]["training"] == models["vae-4T"]["training"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"flops": []}}, r"vae: training: flops: found \[\], expected different budgets"),
        ({"training": {"flops": [1e12, 1.0001e12]}}, "vae: training: flops: found .* which differ in three digits"),
        ({"training": {"flops": [1e12, "4e12"]}}, r"vae: training: flops: found '4e12' \(text\), expected a number"),
        ({"training": {"flops": [1e12, True]}}, "vae: training: flops: found True, expected a number above 0"),
        ({"first_stage": ["x"]}, "vae: first_stage: found 1 names for 2 budgets, expected one for each"),
        ({"first_stage": ["x"], "training": {"flops": 1e12}}, "vae: first_stage: found .*x.*, expected one name, or"),
    ],
)
def test_wrong_budgets_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        toy(tmp_path, vae=VAE | changes)


def test_names_and_lines_that_stand_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="models: vae-1T: found a second entry of the name 'vae-1T'"):
        toy(tmp_path, vae=VAE, **{"vae-1T": {**VAE, "training": {"steps": 1, "batch_size": 8}}})
    with pytest.raises(InputError, match="models: other: label: found 'A VAE', as in vae, expected a label for each"):
        toy(tmp_path, vae=VAE, other=VAE)


def test_changes_are_a_merge_patch() -> None:
    """The examples of RFC 7396, appendix A, that a suite can contain."""
    assert merged({"a": "b", "b": "c"}, {"a": None}) == {"b": "c"}
    assert merged({"a": ["b"]}, {"a": "c"}) == {"a": "c"}
    assert merged({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}) == {"a": {"b": "d"}}
    assert merged({"a": "foo"}, {"b": {"c": {"d": None}}}) == {"a": "foo", "b": {"c": {}}}


def test_a_suite_extends_another_by_a_path_from_its_own_folder(tmp_path: Path) -> None:
    loaded(tmp_path, "base", title="Base", dataset={"source": "demo"}, num_samples=300, models={"vae": VAE})
    (tmp_path / "own").mkdir()
    loaded(tmp_path, "own/middle", extends="../base.yaml", title="Middle", models={"vae": {"label": "Mine"}})
    found = loaded(tmp_path, "own/child", extends="middle.yaml", models={"vae": {"model": {"latent_size": 4}}})
    assert (found["name"], found["title"], found["num_samples"]) == ("child", "Middle", 300)
    assert found["models"]["vae-4T"]["label"] == "Mine, 4T FLOPs"
    assert found["models"]["vae-4T"]["model"] == {"class": "vae.VAE", "latent_size": 4}


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("toy.yaml", r"toy.yaml: extends: found 'toy.yaml', expected a suite that does not extend this one"),
        ("none.yaml", r"toy.yaml: extends: .*none.yaml: no such file"),
        ("demmo", r"toy.yaml: extends: suite: found 'demmo' \(did you mean 'demo'\?\)"),
        (3, "toy.yaml: extends: found 3, expected the name or the path of a suite"),
    ],
)
def test_a_suite_that_can_not_be_extended_is_named(extends: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        loaded(tmp_path, extends=extends)


def test_fashion_mnists_suite_is_mnists_but_for_the_data_set() -> None:
    fashion, digits = (load_suite(find_suite(f"{name}-equal")) for name in ("fashion-mnist", "mnist"))
    assert [key for key in digits if fashion[key] != digits[key]] == ["name", "title", "dataset", "evaluation"]


@pytest.mark.parametrize(("name", "families"), [("mnist-equal", 10), ("cifar10-equal", 10), ("mnist-equal-modern", 18)])
def test_every_family_has_the_same_three_budgets_and_states_its_precision(name: str, families: int) -> None:
    budgets: dict[str, list[float]] = {}
    for entry in load_suite(find_suite(name))["models"].values():
        budgets.setdefault(entry["series"], []).append(entry["training"]["flops"])
        assert entry["training"]["precision"] == "fp32"
    assert all(found[-3:] == [1e12, 4e12, 16e12] for found in budgets.values())
    assert len(budgets) == families


LOCKS = ["dataset", "evaluation", "num_samples", "models.*.training"]
OWN = {**VAE, "training": {"steps": 100, "batch_size": 8}}
BASE = {"title": "Base", "dataset": {"source": "demo"}, "num_samples": 2000, "models": {"vae": OWN}}


def test_a_suite_may_not_change_what_the_one_before_locks(tmp_path: Path) -> None:
    """The same holds for a suite that extends that one, and for the command line."""
    loaded(tmp_path, "base", **BASE, locked=LOCKS)
    allowed = loaded(tmp_path, "child", extends="base.yaml", title="Mine", num_samples=2000, locked=["models.vae"])
    assert allowed["parent"]["suite"] == "base"
    assert allowed["parent"]["locked"] == LOCKS
    assert [(one["key"], one["here"]) for one in allowed["parent"]["changes"]] == [("title", '"Mine"')]
    for changes, message in (
        ({"num_samples": 500}, "num_samples: found 500, expected 2000 as in base.yaml, which locks num_samples"),
        ({"dataset": {"classes": [1, 2]}}, r"dataset: classes: found \[1, 2\], expected nothing"),
        ({"evaluation": {"extractors": ["efficientnet"]}}, "evaluation"),
        ({"models": {"vae": {"training": {"steps": 7}}}}, r"which locks models.\*.training"),
        ({"locked": "title"}, 'locked: found "title", expected a list of keys'),
    ):
        with pytest.raises(InputError, match=message):
            loaded(tmp_path, "other", extends="base.yaml", **changes)
    with pytest.raises(InputError, match=r"which locks models\.vae"):
        loaded(tmp_path, "grandchild", extends="child.yaml", models={"vae": {"label": "Other"}})
    with pytest.raises(InputError, match=r"config: num_samples: found 100, .*base\.yaml locks num_samples"):
        load_suite(tmp_path / "base.yaml", {"num_samples": 100})


def test_a_new_model_is_no_change_of_those_that_are_locked(tmp_path: Path) -> None:
    loaded(tmp_path, "base", **BASE, locked=LOCKS)
    found = loaded(tmp_path, "child", extends="base.yaml", models={"own": OWN | {"label": "Own"}})
    assert found["models"]["own"]["training"]["steps"] == 100
    loaded(tmp_path, "base", **BASE, locked=["models"])
    with pytest.raises(InputError, match="models: own"):
        loaded(tmp_path, "child", extends="base.yaml", models={"own": OWN | {"label": "Own"}})
