"""Sampling: any split of the seeds gives the same images; NFE is counted; a killed run continues."""

import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from entries import IMAGE_SHAPE, MODELS, blobs

from genbench.data.image_set import ImageSet, make_image_set, save_image_set
from genbench.data.objects import parse_labels
from genbench.errors import InputError
from genbench.images import to_images, to_pixels
from genbench.sampling import generation
from genbench.sampling.batch import batch_starts
from genbench.sampling.checkpoint import load_model
from genbench.sampling.generation import find_condition, generate
from genbench.sampling.grids import grid
from genbench.training.folder import train

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["gan", "autoencoder", "ddpm", "cold"])
def model_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each kind, trained for five steps."""
    out = tmp_path_factory.mktemp(request.param) / "model.safetensors"
    spec = {"model": MODELS[request.param], "training": {"steps": 5, "batch_size": 8}}
    train(spec, *blobs(64), data_sha256="d", seed=0, out=out, device=CPU)
    return out


def draw(path: Path, seeds: range, folder: Path, batch_size: int = 8, **options: object) -> tuple[np.ndarray, dict]:
    model, info = load_model(path)
    return generate(model, info, options, seeds=seeds, batch_size=batch_size, device=CPU, parts_folder=folder)


def test_any_split_of_the_seeds_gives_the_same_bits(model_file: Path, tmp_path: Path) -> None:
    whole, _ = draw(model_file, range(30), tmp_path / "whole")
    assert whole.shape == (30, 16, 16, 1)
    assert whole.dtype == np.uint8
    for cuts in [(0, 8, 30), (0, 13, 14, 30), (0, 1, 29, 30)]:
        parts = [draw(model_file, range(a, b), tmp_path / f"{a}-{b}")[0] for a, b in pairwise(cuts)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_another_batch_size_gives_the_same_images_within_a_grey_level(model_file: Path, tmp_path: Path) -> None:
    a, _ = draw(model_file, range(20), tmp_path / "a", batch_size=8)
    b, _ = draw(model_file, range(20), tmp_path / "b", batch_size=5)
    difference = np.abs(a.astype(int) - b.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


# --- Models that start from given images ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cold_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cold") / "model.safetensors"
    spec = {"model": MODELS["cold"], "training": {"steps": 30, "batch_size": 16, "optimizer": {"lr": 1e-3}}}
    train(spec, *blobs(64), data_sha256="d", seed=0, out=out, device=CPU)
    return out


@pytest.fixture(scope="module")
def split() -> ImageSet:
    """Eleven test images, a multiple of no batch size in these tests."""
    names = ["a", "b", "c", "d"]
    return make_image_set(*blobs(11, 1), names, dataset="blobs", split="test", source="-", source_sha256="-")


def reconstruct(
    path: Path, split: ImageSet, seeds: range, folder: Path, batch_size: int = 8
) -> tuple[np.ndarray, dict]:
    model, info = load_model(path)
    options = {"mode": "reconstruct"}
    condition = find_condition(model, options, split, CPU)
    return generate(
        model, info, options, seeds=seeds, batch_size=batch_size, device=CPU, parts_folder=folder, condition=condition
    )


def test_seed_i_starts_from_row_i_whatever_the_split_of_the_seeds_and_the_batch_size(
    cold_file: Path, split: ImageSet, tmp_path: Path
) -> None:
    whole, timing = reconstruct(cold_file, split, range(30), tmp_path / "whole")
    for a, b in pairwise((0, 8, 13, 14, 30)):
        assert np.array_equal(reconstruct(cold_file, split, range(a, b), tmp_path / f"{a}-{b}")[0], whole[a:b])
    other, _ = reconstruct(cold_file, split, range(30), tmp_path / "other", batch_size=5)
    assert np.abs(other.astype(int) - whole).max() <= 1
    assert np.abs(whole[:11].astype(int) - whole[11:22]).max() <= 1  # after the last row comes the first
    # Degradation averages each four rows and restoration keeps the averages, so they are those of the given image.
    means = [images.reshape(-1, 4, 4 * 16).mean(2) for images in (whole[:11].astype(float), split.images)]
    assert np.abs(means[0] - means[1]).max() < 8
    assert np.abs(means[0] - np.roll(means[1], 1, axis=0)).max() > 30
    assert timing.condition == {
        "kind": "images", "dataset": "blobs", "split": "test", "sha256": split.info["sha256"],
    }  # fmt: skip
    assert timing.nfe == 4


def test_kept_batches_of_other_given_images_are_not_used(cold_file: Path, split: ImageSet, tmp_path: Path) -> None:
    names = split.class_names
    other = make_image_set(*blobs(11, 2), names, dataset="blobs", split="test", source="-", source_sha256="-")
    a, _ = reconstruct(cold_file, split, range(8), tmp_path / "parts")
    b, _ = reconstruct(cold_file, other, range(8), tmp_path / "parts")
    assert not np.array_equal(a, b)


def test_labels_are_given_by_seed_too(cold_file: Path, split: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = load_model(cold_file)
    assert find_condition(model, {}, split, CPU) is None
    monkeypatch.setattr(model, "condition", lambda options: "labels")
    condition = find_condition(model, {}, split, CPU)
    assert condition is not None
    assert condition.of(torch.arange(9, 13)).tolist() == [*split.labels[9:], *split.labels[:2]]


def test_the_first_rows_of_a_split_that_is_sorted_by_class_are_of_all_classes(cold_file: Path) -> None:
    model, _ = load_model(cold_file)
    images, labels = np.arange(100, dtype=np.uint8).repeat(16 * 16).reshape(100, 16, 16, 1), np.arange(100) // 25
    names = ["a", "b", "c", "d"]
    by_class = make_image_set(images, labels, names, dataset="d", split="test", source="-", source_sha256="-")
    condition = find_condition(model, {"mode": "reconstruct"}, by_class, CPU)
    assert condition is not None
    given = ((condition.of(torch.arange(100))[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()
    assert sorted(given) == list(range(100))
    assert {number // 25 for number in given[:12]} == {0, 1, 2, 3}
    one = make_image_set(images, labels * 0, names, dataset="d", split="test", source="-", source_sha256="-")
    assert one.representative_order().tolist() == list(range(100))


def test_label_sets_are_given_by_seed_and_to_models_of_labels_alone(
    cold_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = load_model(cold_file)
    sets = parse_labels([["gray cube", "yellow cylinder"], ["red cube"]])
    with pytest.raises(InputError, match="found label sets, but the model starts from given images"):
        find_condition(model, {"mode": "reconstruct"}, sets, CPU)
    monkeypatch.setattr(model, "condition", lambda options: "labels")
    condition = find_condition(model, {}, sets, CPU)
    assert condition is not None
    assert [row.nonzero().flatten().tolist() for row in condition.of(torch.arange(3))] == [[0, 23], [1], [0, 23]]


def test_given_images_must_be_there_and_fit(cold_file: Path, split: ImageSet) -> None:
    model, _ = load_model(cold_file)
    with pytest.raises(InputError, match=r"starts from given images, expected condition: FILE, a split"):
        find_condition(model, {"mode": "reconstruct"}, None, CPU)
    images, labels = blobs(3, size=20)
    large = make_image_set(images, labels, split.class_names, dataset="b", split="test", source="", source_sha256="")
    with pytest.raises(InputError, match=r"condition: found images of shape .*\(20, 20, 1\), expected \(16, 16, 1\)"):
        find_condition(model, {"mode": "reconstruct"}, large, CPU)


def test_the_script_reads_the_given_images(
    cold_file: Path, split: ImageSet, tmp_path: Path, script: Callable[..., str]
) -> None:
    save_image_set(tmp_path / "test.npz", split)
    options = ["--model", cold_file, "--device", "cpu", "--sampler", '{"mode": "reconstruct"}', "--seeds", "0:5"]
    options += ["--batch-size", "5", "--threads", "1", "--out", tmp_path / "s.npz"]
    said = script("sample", *options, code=2)
    assert said.count("\n") == 1
    assert "expected --condition" in said
    script("sample", *options, "--condition", tmp_path / "test.npz")
    with np.load(tmp_path / "s.npz", allow_pickle=False) as samples:
        assert json.loads(str(samples["info"]))["condition"]["sha256"] == split.info["sha256"]
        assert samples["arr_0"].shape == (5, 16, 16, 1)


# --- The record -------------------------------------------------------------------------------------------------------


def test_nfe_is_counted_and_timing_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    train(
        {"model": MODELS["ddpm"], "training": {"steps": 1, "batch_size": 8}},
        *blobs(64),
        data_sha256="d",
        seed=0,
        out=out,
        device=CPU,
    )
    for options, nfe in [
        ({}, 20),
        ({"steps": 7}, 7),
        ({"method": "ddim", "steps": 10}, 10),
        ({"method": "dpm-solver++", "steps": 4}, 4),
    ]:
        _, timing = draw(out, range(12), tmp_path / f"p{nfe}", batch_size=4, **options)
        assert timing.nfe == nfe
    assert timing.num_images == 12
    assert timing.timed_images == 8  # the first of three batches warms up
    assert timing.seconds_per_50k == pytest.approx(50_000 / timing.images_per_second)
    assert timing.seconds == pytest.approx(8 / timing.images_per_second, rel=1e-3)
    assert timing.extrapolated is True
    assert timing.latency_batch1_seconds > 0


def test_a_killed_run_continues_with_the_batches_it_has(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = draw(model_file, range(40), tmp_path / "whole")
    sample, calls = generation.sample_pixels, []

    def unplug(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return sample(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(generation, "sample_pixels", unplug)
    with pytest.raises(KeyboardInterrupt):
        draw(model_file, range(40), tmp_path / "cut")
    images, _ = draw(model_file, range(40), tmp_path / "cut")
    assert np.array_equal(images, whole)
    assert len(calls) == 4 + 2 + 1  # three batches were kept: two are left, and one call for the latency


def test_kept_batches_of_another_sampler_are_not_used(tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    train(
        {"model": MODELS["ddpm"], "training": {"steps": 5, "batch_size": 8}},
        *blobs(64),
        data_sha256="d",
        seed=0,
        out=out,
        device=CPU,
    )
    a, _ = draw(out, range(8), tmp_path / "parts", steps=5)
    b, _ = draw(out, range(8), tmp_path / "parts", steps=3)
    assert not np.array_equal(a, b)


def test_batches_cover_the_seeds_at_multiples_of_their_size() -> None:
    assert list(batch_starts(range(10), 4)) == [0, 4, 8]
    assert list(batch_starts(range(7, 9), 4)) == [4, 8]
    assert list(batch_starts(range(8, 12), 4)) == [8]


def test_pixels_are_clamped_and_rounded() -> None:
    values = torch.tensor([-2.0, -1.0, 0.0, 0.5 / 127.5, 0.51 / 127.5, 1.0, 3.0]).view(1, 1, 1, 7)
    assert to_pixels(values).flatten().tolist() == [0, 0, 128, 128, 128, 255, 255]  # 127.5 rounds to even
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    assert torch.equal(to_pixels(to_images(pixels)), pixels)
    assert to_images(pixels).shape == (1, 1, 16, 16)


def test_grids_are_laid_out_in_rows() -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 1), np.uint8)
    sheet = grid(images, columns=3, gap=1)
    assert sheet.shape == (4 + 1 + 4, 6 * 3 + 2, 3)
    assert sheet[5, 7].tolist() == [4, 4, 4]
    assert sheet[4, 0].tolist() == sheet[8, 19].tolist() == [255, 255, 255]


def test_the_script_writes_openai_s_format_with_hashes(tmp_path: Path, script: Callable[..., str]) -> None:
    out = tmp_path / "model.safetensors"
    train(
        {"model": MODELS["ddpm"], "training": {"steps": 1, "batch_size": 8}},
        *blobs(64),
        data_sha256="d",
        seed=0,
        out=out,
        device=CPU,
    )
    common = ["--model", out, "--batch-size", "4", "--device", "cpu"]
    options = ["--seeds", "2:9", "--sampler", '{"steps": 3}', "--out", tmp_path / "s.npz"]
    options += ["--timing", tmp_path / "t.json", "--grid", tmp_path / "g.png", "--threads", "1"]
    script("sample", *common, *options)
    with np.load(tmp_path / "s.npz", allow_pickle=False) as samples:
        images = samples["arr_0"]
        assert samples["seeds"].tolist() == list(range(2, 9))
        assert json.loads(str(samples["info"]))["nfe"] == 3
    assert images.shape == (7, 16, 16, 1)
    timing = json.loads((tmp_path / "t.json").read_text())
    assert timing["samples_sha256"] == hashlib.sha256(b'["|u1", [7, 16, 16, 1]]' + images.tobytes()).hexdigest()
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "s.parts").exists()

    said = script("sample", *common, "--sampler", '{"eta": 0.5}', "--out", "x.npz", code=2)
    assert said.count("\n") == 1
    assert "ddpm: unknown key: found 'eta'" in said


# --- Checkpoints ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_rebuilds_its_model_without_being_told_anything(model_file: Path) -> None:
    model, info = load_model(model_file)
    assert model.image_shape == IMAGE_SHAPE
    assert info["training"] == {"steps": 5, "batch_size": 8}
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "not ours", "not safetensors"])
def test_damaged_checkpoints_are_named(damage: str, model_file: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "damaged.safetensors"
    content = bytearray(model_file.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[:-64])
    elif damage == "flipped":
        content[-64] ^= 4
        path.write_bytes(content)
    elif damage == "not ours":
        save_file({"a": torch.zeros(1)}, path)
    elif damage == "not safetensors":
        torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"damaged\.safetensors: "):
        load_model(path)
