"""Samples and checkpoints from elsewhere: usable ones enter the table, and errors name the others."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from entries import MODELS, blobs
from PIL import Image

from genbench.data.given import given_samples
from genbench.errors import InputError, reader_has
from genbench.suites.load import load_suite
from genbench.suites.preflight import preflight

ROOT = Path(__file__).parents[2]
IMAGES = blobs(30)[0]  # uint8 (30, 16, 16, 1)
SHAPE = (1, 16, 16)
COLOUR = np.concatenate([IMAGES, 255 - IMAGES, IMAGES], axis=3)


def write_pngs(folder: Path, images: np.ndarray, name: str = "{}.png") -> Path:
    """A file for each image."""
    for i, image in enumerate(images):
        (folder / name.format(i)).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(folder / name.format(i))
    return folder


def test_an_npz_in_openai_s_form_gives_its_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", IMAGES)  # OpenAI's scripts give no name, so the key is arr_0
    images, info = given_samples(tmp_path / "s.npz", 30, SHAPE)
    assert np.array_equal(images, IMAGES)
    assert "notes" not in info
    assert (info["source"], info["lossy"]) == ("s.npz", False)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path, suffix: str) -> None:
    for i, image in enumerate(IMAGES):
        Image.fromarray(image[:, :, 0]).save(tmp_path / f"{i}.{suffix}", quality=95)
    images, info = given_samples(tmp_path, 30, SHAPE)
    distance = np.abs(images[:, None].astype(int) - IMAGES[None].astype(int)).mean((2, 3, 4))
    assert distance.argmin(1).tolist() == list(range(30))
    assert np.array_equal(images, IMAGES) == (suffix == "png")
    assert info["lossy"] == (suffix == "jpg")  # JPEG changes FID, so it is recorded


@pytest.mark.parametrize(
    ("arrays", "count", "message"),
    [
        ({"arr_0": IMAGES}, 31, r"s.npz: found 30 images, expected at least 31"),
        ({"arr_0": IMAGES / 255 - 0.5}, 9, r"s.npz: found float64 images .*expected uint8"),
        (
            {"arr_0": IMAGES / 255},
            9,
            r"float64 .*write \(images \* 255.0\)\.round\(\)\.clip\(0, 255\)\.astype\('uint8'\)",
        ),
        ({"arr_0": IMAGES / 127.5 - 1}, 9, r"float64 images of -1 to .*write \(\(images \+ 1\) \* 127.5\)\.round"),
        ({"arr_0": COLOUR}, 9, r"\(H, W, C\) = \(16, 16, 3\), expected uint8 \(16, 16, 1\)"),
        ({"arr_0": COLOUR}, 9, r"as the data set's; samples: \{path: \.\.\., channels: 1\} converts every image"),
        ({"arr_0": IMAGES[:, :8, :8]}, 9, r"\(8, 8, 1\), .*samples: \{path: \.\.\., image_size: 16\} converts every"),
        ({"arr_0": np.concatenate([COLOUR, IMAGES], 3)}, 9, r"\(H, W, C\) = \(16, 16, 4\), expected"),
        ({"mu": np.zeros(9), "sigma": np.zeros((9, 9))}, 9, "but mu, sigma, which are statistics for FID"),
        ({"arr_0": IMAGES[0]}, 9, r"arr_0: found shape \(16, 16, 1\), expected \(N, H, W, C\)"),
        ({"x": IMAGES}, 9, r"found neither of the keys arr_0"),
        ({"arr_0": np.full(IMAGES.shape, np.nan)}, 9, "found float64 images with values that are not numbers"),
        ({"arr_0": np.array([{}])}, 9, r"s.npz: not an npz file, or damaged"),
        (None, 9, r"s.npz: not an npz file, or damaged"),
    ],
)
def test_what_does_not_serve_is_named(tmp_path: Path, arrays: dict | None, count: int, message: str) -> None:
    if arrays is None:
        (tmp_path / "s.npz").write_bytes(b"PK\x03\x04 no archive")
    else:
        np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(InputError, match=message):
        given_samples(tmp_path / "s.npz", count, SHAPE)


def test_a_hand_in_is_converted_by_its_card(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", arr_0=IMAGES[:, :8, :8])
    with (
        reader_has("card"),
        pytest.raises(InputError, match="; image_size: 16 in its card converts every"),
    ):
        given_samples(tmp_path / "s.npz", 9, SHAPE)


@pytest.mark.parametrize("form", ["s.npz", "s.npy", "folder"])
def test_of_more_samples_a_random_part_is_taken_whatever_their_order(tmp_path: Path, form: str) -> None:
    by_class = np.repeat(np.arange(10, dtype=np.uint8), 200)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    if form == "folder":
        write_pngs(tmp_path / form, by_class)
    else:
        {"s.npz": np.savez, "s.npy": np.save}[form](tmp_path / form, by_class)
    images, info = given_samples(tmp_path / form, 500, (1, 4, 4))
    labels = images[:, 0, 0, 0]
    assert np.all(np.abs(np.bincount(labels, minlength=10) - 50) < 3.5 * 50**0.5)  # about as many of each class
    assert (np.diff(labels.astype(int)) >= 0).all()  # in the file's order
    assert info["notes"] == ["500 of 2,000 samples: a random part, always the same"]
    again, _ = given_samples(tmp_path / form, 500, (1, 4, 4))
    assert np.array_equal(images, again)


@pytest.mark.parametrize("name", ["s.npy", "S.NPY", "S.NPZ"])
@pytest.mark.parametrize("form", ["NHWC", "NCHW", "NHW", "int64"])
def test_arrays_as_the_peers_write_them_are_read(tmp_path: Path, name: str, form: str) -> None:
    given = {
        "NHWC": IMAGES,
        "NCHW": IMAGES.transpose(0, 3, 1, 2),
        "NHW": IMAGES[..., 0],
        "int64": IMAGES.astype(np.int64),
    }[form]
    with open(tmp_path / name, "wb") as file:
        np.save(file, given) if name.lower().endswith("npy") else np.savez(file, given, np.zeros(30))  # ADM's labels
    images, info = given_samples(tmp_path / name, 30, SHAPE)
    assert np.array_equal(images, IMAGES)
    assert "notes" not in info


def test_what_score_sde_writes_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "samples_0.npz", samples=COLOUR)
    assert np.array_equal(given_samples(tmp_path / "samples_0.npz", 30, (3, 16, 16))[0], COLOUR)


def test_no_option_is_advised_that_does_not_help(tmp_path: Path) -> None:
    np.save(tmp_path / "rgba.npy", np.concatenate([COLOUR, IMAGES], 3))
    np.save(tmp_path / "wide.npy", COLOUR)
    for name, shape in (("rgba.npy", (3, 16, 16)), ("wide.npy", (3, 16, 24))):
        with pytest.raises(InputError) as caught:
            given_samples(tmp_path / name, 30, shape)
        assert "samples: {path" not in str(caught.value)
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "folder/0.npz", COLOUR)
    with pytest.raises(InputError, match=r"found no images .*; 1 files \(\.npz\) are not read: .*/folder/0\.npz"):
        given_samples(tmp_path / "folder", 30, (3, 16, 16))


def test_colour_as_torch_has_it_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", COLOUR.transpose(0, 3, 1, 2))
    assert np.array_equal(given_samples(tmp_path / "s.npz", 30, (3, 16, 16))[0], COLOUR)


@pytest.mark.parametrize("form", ["s.npz", "folder"])
def test_grey_and_colour_are_the_data_set_s_where_no_pixel_changes(tmp_path: Path, form: str) -> None:
    # torchvision.utils.save_image writes a grey image in three channels.
    three = IMAGES.repeat(3, axis=3)
    for name, images in (("three", three), ("one", IMAGES)):
        if form == "folder":
            write_pngs(tmp_path / name / form, images)
        else:
            (tmp_path / name).mkdir()
            np.savez(tmp_path / name / form, images)
    grey, info = given_samples(tmp_path / "three" / form, 30, SHAPE)
    assert np.array_equal(grey, IMAGES)
    assert info["notes"] == ["grey images stored in three equal channels, read as one: 30"]
    colour, info = given_samples(tmp_path / "one" / form, 30, (3, 16, 16))
    assert np.array_equal(colour, three)
    assert info["notes"] == ["greyscale images, converted to RGB: 30"]


def test_a_grey_file_among_those_in_colour_is_made_rgb(tmp_path: Path) -> None:
    write_pngs(tmp_path, COLOUR)
    Image.fromarray(IMAGES[0, ..., 0]).save(tmp_path / "0.png")
    images, info = given_samples(tmp_path, 30, (3, 16, 16))
    assert np.array_equal(images[0], IMAGES[0].repeat(3, axis=2))
    assert info["notes"] == ["greyscale images, converted to RGB: 1"]


def test_the_odd_file_is_named_and_the_way_on(tmp_path: Path) -> None:
    write_pngs(tmp_path, COLOUR)
    Image.fromarray(np.tile(COLOUR[0], (3, 3, 1))).save(tmp_path / "grid.png")
    message = r"1 of 31 images cannot be used: grid.png \(48x48 pixels, expected 16x16\); move .*, image_size: 16\}"
    with pytest.raises(InputError, match=message):
        given_samples(tmp_path, 31, (3, 16, 16))
    with pytest.raises(InputError, match=r"0.png \(in colour, expected greyscale\), .*\{path: \.\.\., channels: 1"):
        given_samples(tmp_path, 31, SHAPE)


@pytest.mark.parametrize("form", ["s.npz", "s.npy", "folder"])
def test_samples_are_converted_where_it_is_asked_for(tmp_path: Path, form: str) -> None:
    if form == "folder":
        write_pngs(tmp_path / form, COLOUR)
    else:
        {"s.npz": np.savez, "s.npy": np.save}[form](tmp_path / form, COLOUR)
    options = {"channels": 1, "image_size": 8, "filter": "box"}
    images, info = given_samples(tmp_path / form, 30, (1, 8, 8), **options)
    expected = [Image.fromarray(image).convert("L").resize((8, 8), Image.Resampling.BOX) for image in COLOUR]
    assert np.array_equal(images[..., 0], np.array([np.array(image) for image in expected]))
    assert info["notes"] == ["converted to greyscale", "resized to 8x8 (box)"]


@pytest.mark.parametrize("low_high", [(0, 1), (-1, 1), (-0.5, 0.5), (0, 255)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_values_of_a_stated_range_become_levels(tmp_path: Path, low_high: tuple, dtype: type) -> None:
    low, high = low_high
    np.savez(tmp_path / "s.npz", x=(low + IMAGES / 255 * (high - low)).astype(dtype))
    images, info = given_samples(tmp_path / "s.npz", 30, SHAPE, key="x", range=[low, high])
    assert np.array_equal(images, IMAGES)  # float16 has more than eight bits in each of these ranges
    assert info["notes"] == [f"from values of {low:g} to {high:g}"]


def test_a_stated_layout_settles_what_the_shape_leaves_open(tmp_path: Path) -> None:
    theirs = np.random.Generator(np.random.Philox(0)).random((5, 3, 4, 3))  # NCHW: 3 channels, 4x3 pixels
    theirs[2, 0, 0, 0] = 1.1  # networks also produce values beyond white
    np.save(tmp_path / "s.npy", theirs)
    images, info = given_samples(tmp_path / "s.npy", 5, (3, 4, 3), layout="NCHW", range=[0, 1])
    assert np.array_equal(images, (theirs * 255).round().clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1))
    assert "images with values outside the range, clipped: 1" in info["notes"]
    with pytest.raises(
        InputError, match=r"found float64 images with values from 0.\d+ to 1.1, expected about 0 to 0.1"
    ):
        given_samples(tmp_path / "s.npy", 5, (3, 4, 3), layout="NCHW", range=[0, 0.1])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "s.npz",
            {"key": "smaples"},
            r"s.npz: key 'key': found 'smaples' \(did you mean 'samples'\?\); expected one of",
        ),
        ("s.npy", {"key": "samples"}, "s.npy: key 'key': found 'samples', which does nothing for an .npy"),
        ("folder", {"layout": "NCHW"}, "folder: key 'layout': found 'NCHW', which does nothing for files of images"),
        ("folder", {"range": [0, 1]}, r"folder: key 'range': found \[0, 1\], which does nothing for files of images"),
    ],
)
def test_options_of_arrays_are_for_arrays(tmp_path: Path, name: str, options: dict, message: str) -> None:
    if name == "folder":
        write_pngs(tmp_path / name, IMAGES)
    elif name == "s.npz":
        np.savez(tmp_path / name, samples=IMAGES, x=IMAGES)
    else:
        np.save(tmp_path / name, IMAGES)
    with pytest.raises(InputError, match=message):
        given_samples(tmp_path / name, 30, SHAPE, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 3}, "key 'channels': found 3, expected 1, as the data set's images have"),
        ({"image_size": 8}, "key 'image_size': found 8, but the data set's images are 16x16"),
        ({"filter": "box"}, "key 'filter': found 'box', which does nothing without the key 'image_size'"),
    ],
)
def test_options_that_cannot_help_are_refused(tmp_path: Path, options: dict, message: str) -> None:
    np.savez(tmp_path / "s.npz", IMAGES)
    with pytest.raises(InputError, match=message):
        given_samples(tmp_path / "s.npz", 30, SHAPE, **options)


def test_what_a_reader_must_know_of_files_is_noted(tmp_path: Path) -> None:
    for folder in ("cat", "dog"):
        write_pngs(tmp_path / folder, COLOUR[:3])
    clear = Image.fromarray(COLOUR[0])
    clear.putalpha(100)
    clear.save(tmp_path / "cat/0.png")
    (tmp_path / "dog/1.gif").write_bytes(b"GIF89a")
    _, info = given_samples(tmp_path, 6, (3, 16, 16))
    assert info["notes"] == [
        "images of 2 folders together (cat, dog)",
        "images with transparency, laid on white: 1",
        "1 files (.gif) are not read",
    ]


@pytest.mark.parametrize("name", ["s.npy", "s.npz", "s.pt", "folder"])
def test_nobody_is_told_to_remove_what_genbench_did_not_make(tmp_path: Path, name: str) -> None:
    from genbench.data import load_images

    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"not what its name says")
    for read in (lambda: given_samples(path, 9, SHAPE), lambda: load_images(path)):
        with pytest.raises(InputError) as caught:
            read()
        assert name in str(caught.value)
        assert ("delete" in str(caught.value)) == ("if genbench wrote it, delete" in str(caught.value))
        assert "delete" not in str(caught.value) or name.endswith(".npz")  # genbench writes arrays only as .npz
    if name == "s.npy":
        np.save(path, IMAGES)
        assert np.array_equal(load_images(path)[0], IMAGES)


def test_the_script_writes_what_sampling_writes(tmp_path: Path) -> None:
    from genbench.data.image_set import make_image_set, save_image_set

    real = make_image_set(*blobs(8), list("abcd"), dataset="b", split="test", source="t", source_sha256="s")
    save_image_set(tmp_path / "real.npz", real)
    np.savez(tmp_path / "s.npz", IMAGES)
    names = {"--out": "out.npz", "--timing": "timing.json", "--grid": "grid.png"}
    command = [sys.executable, str(ROOT / "scripts/import_samples.py"), "--in", "s.npz", "--limit", "25"]
    command += ["--like", "real.npz", *(part for pair in names.items() for part in pair)]
    subprocess.run(command, cwd=tmp_path, check=True)
    with np.load(tmp_path / "out.npz") as arrays:
        kept = [row for row, image in enumerate(IMAGES) if any(np.array_equal(image, one) for one in arrays["arr_0"])]
        assert np.array_equal(arrays["arr_0"], IMAGES[kept])
        assert len(kept) == 25
    timing = json.loads((tmp_path / "timing.json").read_text())
    assert timing["notes"] == ["25 of 30 samples: a random part, always the same"]
    assert timing["given"]
    assert timing["seconds_per_50k"] is None
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (178, 52)


TRAINED = {"model": MODELS["vae"], "training": {"steps": 10, "batch_size": 8}}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"model": MODELS["vae"]},
            "models: x: found model of the keys that say what this is; expected model and train",
        ),
        ({}, "models: x: found none of the keys"),
        (TRAINED | {"samples": "s.npz"}, "models: x: found model, training, samples of the keys"),
        ({"samples": "nothing.npz"}, r"models: x: samples: .*'nothing.npz'"),
        ({"samples": "s.npz"}, r"models: x: samples: .*s.npz: found 30 images, expected at least 1,000"),
        ({"samples": "s.npz", "snapshots": [1]}, "models: x: snapshots: found .* nothing is trained here"),
        ({"samples": "s.npz", "samplers": {"a": {}}}, "models: x: samplers: .*already drawn"),
        ({"pretrained": {"format": "ddgan"}}, "models: x: pretrained: key 'path' is missing"),
        ({"pretrained": {"format": "ddgun", "path": "s.npz"}}, "models: x: pretrained: format: found 'ddgun'"),
        ({"pretrained": {"format": "ddgan", "path": "none.pth"}}, "models: x: pretrained: .*'none.pth'"),
        ({"pretrained": {"format": "ddgan", "path": "s.npz"}}, "models: x: pretrained: .*s.npz"),
    ],
)
def test_entries_of_other_kinds_are_checked_before_anything_runs(tmp_path: Path, entry: dict, message: str) -> None:
    np.savez(tmp_path / "s.npz", IMAGES)
    path = tmp_path / "toy.yaml"
    suite = {"title": "Toy", "dataset": {"source": "demo"}, "num_samples": 1000, "models": {"x": entry}}
    path.write_text(yaml.safe_dump(suite))
    with pytest.raises(InputError, match=message) as caught:
        preflight(load_suite(path), str(tmp_path), str(path))
    assert "\n" not in str(caught.value)


def test_a_range_in_a_suite_rises(tmp_path: Path) -> None:
    entry = {"samples": {"path": "s.npy", "range": [1, 0]}}
    suite = {"title": "T", "dataset": {"source": "demo"}, "models": {"theirs": entry}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(suite))
    with pytest.raises(InputError, match=r"samples: range: found \[1.0, 0.0\], expected the lower value first"):
        load_suite(tmp_path / "s.yaml")
    entry["samples"]["range"] = [-1, 1]
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(suite))
    assert load_suite(tmp_path / "s.yaml")["models"]["theirs"]["samples"]["range"] == [-1, 1]


def test_given_samples_have_a_row_and_one_seed(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", np.random.default_rng(0).integers(0, 256, (1000, 28, 28, 1), np.uint8))
    path = tmp_path / "toy.yaml"
    models = {"x": {"samples": "s.npz"}, "vae": TRAINED}
    suite = {"title": "Toy", "dataset": {"source": "demo"}, "num_samples": 1000, "seeds": [3, 4], "models": models}
    path.write_text(yaml.safe_dump(suite))
    found = preflight(load_suite(path), str(tmp_path), str(path)).models
    assert (found["x"].seeds, found["vae"].seeds) == ([3], [3, 4])
    assert list(found["x"].samplers) == ["given"]


def test_an_entry_may_have_options(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", np.random.default_rng(0).integers(0, 256, (1000, 32, 32, 3), np.uint8))
    path = tmp_path / "toy.yaml"
    given = {"path": "s.npz", "channels": 1, "image_size": 28}
    suite = {"title": "Toy", "dataset": {"source": "demo"}, "num_samples": 1000, "models": {"x": {"samples": given}}}
    path.write_text(yaml.safe_dump(suite))
    assert load_suite(path)["models"]["x"]["samples"] == given
    assert preflight(load_suite(path), str(tmp_path), str(path)).models["x"].spec == {"samples": given}
    given["image_size"] = 32
    path.write_text(yaml.safe_dump(suite))
    with pytest.raises(InputError, match=r"models: x: samples: key 'image_size': found 32, but .* are 28x28"):
        preflight(load_suite(path), str(tmp_path), str(path))
    given["image_sise"] = given.pop("image_size")
    path.write_text(yaml.safe_dump(suite))
    with pytest.raises(InputError, match="models: x: samples: unknown key: found 'image_sise'"):
        load_suite(path)
