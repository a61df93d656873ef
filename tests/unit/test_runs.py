"""The files of a suite and their paths."""

from pathlib import Path

import pytest
import yaml
from entries import MODELS

from genbench.errors import InputError
from genbench.files.hub import format_options
from genbench.suites import runs
from genbench.suites.load import find_suite, load_suite, load_suites

LABELLED = MODELS["ddpm"] | {"num_classes": 24, "multi_label": True}


def suite(folder: Path, **changes: object) -> dict:
    models = {
        "vae": {"model": MODELS["vae"], "training": {"steps": 9}, "pictures": ["reconstructions"]},
        "ddpm": {
            "model": LABELLED,
            "training": {"steps": 9},
            "samplers": {"slow": {}, "fast": {"steps": 2}},
            "snapshots": [5, 3],
            "quantisation": {"sampler": "fast", "schemes": ["bf16"]},
            "likelihood": {"images": 20},
        },
        "elsewhere": {"samples": "s.npz"},
        "published": {"pretrained": {"format": "ddgan", "path": "p.pth", "image_size": 32}},
    }
    evaluation = {
        "headline": "object_accuracy_few",
        "extractors": ["objects"],
        "objects": {"labels": {"few": "f.json"}},
    }
    content = {"title": "T", "dataset": {"source": "shapes"}, "num_samples": 100, "snapshot_samples": 40, "draws": 3}
    content |= {"seeds": [1, 2], "models": models, "evaluation": evaluation} | changes
    (folder / "toy.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return load_suite(folder / "toy.yaml")


def test_every_run_has_a_folder_and_what_is_not_trained_here_has_one_seed(tmp_path: Path) -> None:
    found = [folder for folder, _ in runs.runs(suite(tmp_path), "training", "samples", "pretrained")]
    assert found == [
        "results/toy/vae/seed1", "results/toy/vae/seed2", "results/toy/ddpm/seed1", "results/toy/ddpm/seed2",
        "results/toy/elsewhere/seed1", "results/toy/published/seed1",
    ]  # fmt: skip
    assert runs.run_files(suite(tmp_path), "training.json", "pretrained") == [
        "results/toy/published/seed1/training.json"
    ]


def test_every_checkpoint_is_drawn_from_with_every_sampler(tmp_path: Path) -> None:
    found = runs.draw_files(suite(tmp_path, seeds=[0]), "m")
    ddpm = [f"{c}/{s}/m" for c in ("step-3", "step-5", "final") for s in ("slow", "fast", "fast-bf16")]
    assert found == [
        "results/toy/vae/seed0/final/default/m",
        *(f"results/toy/ddpm/seed0/{rest}" for rest in ddpm),
        "results/toy/elsewhere/seed0/final/given/m",
        "results/toy/published/seed0/final/default/m",
    ]
    for draw in runs.draws(suite(tmp_path, seeds=[0]), "training"):
        _, name, model, seed = draw.folder.split("/")[:4]
        parts = {"suite": name, "model": model, "seed": seed.removeprefix("seed")}
        assert draw.folder == runs.DRAW.format(**parts, checkpoint=draw.checkpoint, sampler=draw.sampler)


def test_numbers_of_samples(tmp_path: Path) -> None:
    read = suite(tmp_path)
    ddpm, given = read["models"]["ddpm"], read["models"]["elsewhere"]
    assert [runs.num_samples(read, ddpm, checkpoint) for checkpoint in ("final", "step-3")] == [300, 40]
    assert (runs.repeats(read, ddpm, "step-3"), runs.repeats(read, given, "final")) == (1, 1)


def test_files_that_only_some_draws_have(tmp_path: Path) -> None:
    read = suite(tmp_path, seeds=[0])
    folder = "results/toy/ddpm/seed0"
    assert runs.paired(read) == [f"{folder}/{c}/fast-bf16/paired.json" for c in ("step-3", "step-5", "final")]
    assert len(runs.object_results(read)) == 9
    assert runs.object_results(read)[0] == f"{folder}/step-3/slow/objects/few.json"
    assert runs.pictures(read) == ["results/toy/vae/seed0/final/pictures/reconstructions.png"]
    assert runs.likelihoods(read) == [f"{folder}/final/likelihood.json"]
    pictures = runs.neighbours(read)
    assert len(pictures) == 1 + 3 + 1 + 1
    assert all("/final/" in path and path.endswith("/neighbours.png") for path in pictures)


def test_a_data_set_without_test_images_of_its_own_has_no_neighbours(tmp_path: Path) -> None:
    read = suite(tmp_path, dataset={"source": "cub", "split": "all"})
    assert not runs.has_test_images(read)
    assert runs.neighbours(read) == []


def test_a_folder_of_which_no_images_are_held_out_has_no_row_of_real_images(tmp_path: Path) -> None:
    for fraction, expected in ((0.1, ["results/toy/real/metrics.json"]), (0, [])):
        read = suite(tmp_path, dataset={"source": "folder", "path": "x", "test_fraction": fraction})
        assert runs.real_metrics(read) == expected
        assert runs.has_test_images(read) == bool(fraction)
    assert runs.real_metrics(suite(tmp_path, dataset={"source": "cub", "split": "all"})) != []


def test_what_a_sampler_starts_from_and_what_neighbours_are_near_in(tmp_path: Path) -> None:
    read = suite(tmp_path)
    assert runs.needs_test_images(read["models"]["ddpm"], "slow")
    assert not runs.needs_test_images(read["models"]["vae"], "default")
    assert not runs.needs_test_images(read["models"]["published"], "default")
    assert runs.neighbour_metric(read) == "fd_objects"
    read["evaluation"]["headline"] = "fid_clean"
    assert runs.neighbour_metric(read) == "fid_clean"
    read["evaluation"]["metrics"] = ["my.py:Sharpness"]
    assert runs.neighbour_metric(read) == "fd_objects"
    assert format_options(read["models"]["published"]["pretrained"]) == {"image_size": 32}


def test_a_part_of_a_suite_is_its_runs_with_their_own_files_only() -> None:
    path = find_suite("demo")
    config = {"seeds": [0, 1], "only": ["ddpm/seed1", "va*"]}
    part, whole = (load_suites("demo", given)[path] for given in (config, {"seeds": [0, 1]}))
    assert {"/".join(file.split("/")[2:4]) for file in runs.results(part)} == {
        *("ddpm/seed1", "vae/seed0", "vae/seed1", "vae/speed.json")  # speed is measured with the first seed
    }
    assert set(runs.results(part)) < set(runs.results(whole))
    with pytest.raises(InputError, match=r"^config: only: found 'ddpn/seed0' \(did you mean 'ddpm/seed0'\?\)"):
        load_suites("demo", {"only": "ddpn/seed0"})
