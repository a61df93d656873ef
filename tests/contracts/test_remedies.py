"""Each message's remedy works: bad input gives the message, and following it to the letter succeeds."""

import json
import re
import shlex
import subprocess
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from entries import MODELS
from PIL import Image

from genbench.commands import evaluate_folders, import_samples
from genbench.data import make_image_set, open_dataset, save_image_set
from genbench.data.as_found import read_images
from genbench.data.given import given_samples
from genbench.data.texts import read_texts
from genbench.errors import InputError, reader_has
from genbench.evaluation.comparison import choose_extractors
from genbench.evaluation.sides import Reading, Side, open_side
from genbench.features.computation import extract_features
from genbench.features.object_evaluation import evaluate_objects
from genbench.files.archives import list_files
from genbench.importing.states import state_of
from genbench.machine.extras import PACKAGES, install
from genbench.models import Batch, build
from genbench.processes.noise import Noise
from genbench.sampling import outputs
from genbench.suites.load import load_suite, load_suites
from genbench.suites.preflight import check_suite
from genbench.suites.workflow import snakemake_arguments
from genbench.training.folder import train
from genbench.training.recipe import TrainConfig
from genbench.training.trainer import Trainer


def said_by(work: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        work()
    return str(caught.value)


def draw(path: Path, side: int = 16, mode: str = "L", value: int = 7) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.arange(side * side * (3 if mode == "RGB" else 1)) * value % 256
    shape = (side, side, 3) if mode == "RGB" else (side, side)
    Image.fromarray(pixels.astype(np.uint8).reshape(shape)).save(path)


# --- Samples from elsewhere: the messages of the script and of a suite's check for the same fault


@pytest.fixture
def importing(tmp_path: Path) -> Callable[..., list[str]]:
    """Return the command line that imports samples for a grey data set of 16x16, with further flags."""
    images = np.arange(4 * 256, dtype=np.uint8).reshape(4, 16, 16, 1)
    data = make_image_set(
        images, np.zeros(4, np.int64), ("a",), dataset="d", split="train", source="s", source_sha256="0"
    )
    save_image_set(tmp_path / "train.npz", data)
    out = ["--out", tmp_path / "s.npz", "--timing", tmp_path / "t.json", "--grid", tmp_path / "g.png"]
    return lambda path, *more: [
        str(word) for word in ("--in", path, "--limit", 2, "--like", tmp_path / "train.npz", *out, *more)
    ]


@pytest.mark.parametrize(
    ("side", "mode", "options"),
    [
        (24, "L", {"image_size": 16}),
        (16, "RGB", {"channels": 1}),
        (24, "RGB", {"channels": 1, "image_size": 16}),
    ],
)
@pytest.mark.parametrize("form", ["folder", "array"])
def test_samples_are_converted_as_the_message_says(
    side: int, mode: str, options: dict[str, int], form: str, importing: Callable[..., list[str]], tmp_path: Path
) -> None:
    for number in range(2):
        draw(tmp_path / f"theirs/{number}.png", side, mode)
    path = tmp_path / "theirs"
    if form == "array":
        arrays = [np.array(Image.open(file)).reshape(side, side, -1) for file in sorted(path.glob("*.png"))]
        path = tmp_path / "theirs.npy"
        np.save(path, np.stack(arrays))
    flags: list[str] = []
    for _ in options:  # each message reports only one fault
        said = said_by(partial(import_samples.main, importing(path, *flags)))
        assert "samples: {" not in said
        flags += shlex.split(said.rpartition("; ")[2].removesuffix(" converts every image"))
        if "--channels" in flags and "--image-size" in flags:
            break
    import_samples.main(importing(path, *flags))
    assert dict(zip(flags[::2], flags[1::2], strict=True)) == {
        f"--{name.replace('_', '-')}": str(value) for name, value in options.items()
    }
    given: dict[str, Any] = {}
    while given != options:  # the messages for keys of a suite
        said = said_by(partial(given_samples, path, 2, (1, 16, 16), **given))
        assert "--" not in said
        entry = yaml.safe_load(said.rpartition("; ")[2].removesuffix(" converts every image"))["samples"]
        assert entry.pop("path") == "..."
        assert entry.keys() - given.keys()
        given |= entry
    assert given_samples(path, 2, (1, 16, 16), **given)[0].shape == (2, 16, 16, 1)


def test_a_script_s_reader_is_told_of_its_flags(importing: Callable[..., list[str]], tmp_path: Path) -> None:
    draw(tmp_path / "few/0.png")
    said = said_by(lambda: import_samples.main(importing(tmp_path / "few")))
    assert "expected at least 2 (--limit)" in said
    import_samples.main(importing(tmp_path / "few", "--limit", 1))
    assert "(num_samples)" in said_by(lambda: given_samples(tmp_path / "few", 2, (1, 16, 16)))
    assert "--filter: found 'box', which does nothing without the --image-size" in said_by(
        lambda: import_samples.main(importing(tmp_path / "few", "--limit", 1, "--filter", "box"))
    )
    import_samples.main(importing(tmp_path / "few", "--limit", 1, "--filter", "box", "--image-size", 16))


def test_images_of_a_kind_that_is_not_read_are_written_as_one_that_is(tmp_path: Path) -> None:
    images = torch.arange(2 * 256, dtype=torch.int64).reshape(2, 16, 16, 1).to(torch.uint8)
    torch.save(images, tmp_path / "theirs.pt")
    said = said_by(lambda: given_samples(tmp_path / "theirs.pt", 2, (1, 16, 16)))
    assert said.endswith("expected an .npz or .npy, or a folder or archive of images: write them as one of these")
    np.save(tmp_path / "theirs.npy", images.numpy())
    assert np.array_equal(given_samples(tmp_path / "theirs.npy", 2, (1, 16, 16))[0], images.numpy())


# --- Images that differ


@pytest.mark.parametrize(
    ("second", "key", "value"), [((24, "L"), "image_size", 8), ((16, "RGB"), "channels", 1)], ids=["size", "channels"]
)
def test_images_that_differ_are_made_alike_by_the_option_that_the_reader_has(
    second: tuple[int, str], key: str, value: int, tmp_path: Path
) -> None:
    path, flag = tmp_path / "images", f"--{key.replace('_', '-')}"
    for name in ("a/0.png", "b/0.png"):
        draw(path / name, 16, "L")
    for name in ("a/1.png", "b/1.png"):
        draw(path / name, *second)

    dataset = {"source": "folder", "path": str(path)}
    assert f"; give the option {key}" in said_by(lambda: open_dataset(dataset, tmp_path).load())
    assert open_dataset(dataset | {key: value}, tmp_path).load()["train"].images.shape[0] == 2

    said = said_by(lambda: evaluate_folders.command(str(path), str(path), device="cpu"))
    assert f"; give the option {flag}" in said
    assert key in evaluate_folders.command.__wrapped__.__annotations__  # type: ignore[attr-defined]
    reading = Reading(**{key: value})
    images = open_side(path, "generated images", reading).images
    assert images is not None
    assert len(images) == 4

    said = said_by(lambda: extract_features(path, "classifier:none", None))
    assert said.endswith("; expected images that are alike")  # this command has no option that converts
    assert "option" not in said


def test_one_array_of_a_folder_is_taken_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "folder/0.npz", np.zeros((2, 8, 8, 3), np.uint8))
    said = said_by(lambda: read_images(tmp_path / "folder"))
    assert read_images(Path(said.rpartition("such as ")[2]))[0].shape == (2, 8, 8, 3)


def test_links_in_an_archive_are_packed_as_the_message_says(tmp_path: Path) -> None:
    draw(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").symlink_to("a.png")
    for dereference in (False, True):
        with tarfile.open(path := tmp_path / f"{dereference}.tar", "w", dereference=dereference) as tar:
            tar.add(tmp_path / "in/a.png", "a.png")
            tar.add(tmp_path / "in/b.png", "b.png")
    assert said_by(lambda: list_files(tmp_path / "False.tar")).endswith("pack the files themselves (tar --dereference)")
    assert sorted(list_files(path)) == ["a.png", "b.png"]


# --- Splits of a folder


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("my_train/a", "my_train/b", "my_test/a", "my_test/b"), {}),
        (("photos/train/a", "photos/train/b", "photos/test/a", "photos/test/b"), {}),
        (("train/a", "train/b", "test"), {}),
        (("train/a", "train/b", "test/c"), {}),
        (("train/a", "train/b", "test/a"), {"test_fraction": 0}),
    ],
)
def test_splits_are_named_as_the_message_says(names: tuple[str, ...], options: dict[str, Any], tmp_path: Path) -> None:
    for folder in names:
        for number in range(3):
            draw(tmp_path / f"images/{folder}/{number}.png", value=number + 1)
    entry = {"source": "folder", "path": str(tmp_path / "images"), **options}
    said = said_by(lambda: open_dataset(entry, tmp_path))
    match = re.search(r"splits: \{[^}]*\}", said)
    assert match is not None
    data = open_dataset(entry | yaml.safe_load(match[0]), tmp_path).load()
    assert len(data["train"].images) >= 4


# --- An entry of a suite: the keys of its model, the message, and the keys that the message asks for

D, SHAPE = MODELS["ddpm"], (1, 16, 16)
MODEL_CASES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (D | {"learned_variance": True}, "expected 'hybrid' or 'vlb'", {"loss": "hybrid"}),
    (D | {"learned_variance": True}, "expected 'hybrid' or 'vlb'", {"loss": "vlb"}),
    (D | {"loss": "hybrid"}, "expected 'learned_variance: true', or 'simple' or 'vlb'", {"learned_variance": True}),
    (D | {"loss": "hybrid"}, "expected 'learned_variance: true', or 'simple' or 'vlb'", {"loss": "simple"}),
    (D | {"loss": "vlb", "data_scale": 0.5}, "expected 1, or loss: simple", {"data_scale": 1.0}),
    (D | {"loss": "vlb", "data_scale": 0.5}, "expected 1, or loss: simple", {"loss": "simple"}),
    (
        MODELS["vae"] | {"deterministic": True},
        "expected kl_weight 0 and priors out of 'gaussian', 'mixture'",
        {"kl_weight": 0, "priors": ["gaussian"]},
    ),
    (
        D | {"denoiser": D["denoiser"] | {"channel_mult": [1, 1, 1, 1, 1, 1], "attention_resolutions": []}},
        "expected fewer levels in channel_mult, or another patch_size",
        {"denoiser": D["denoiser"] | {"channel_mult": [1, 1, 1], "attention_resolutions": []}},
    ),
    (
        MODELS["ddgan"] | {"generator": MODELS["ddgan"]["generator"] | {"channels": 18}},
        "expected channels such as 16, 32, 64 or 128",
        {"generator": MODELS["ddgan"]["generator"] | {"channels": 16}},
    ),
    (D | {"class": "VAE"}, "expected module.Class, such as vae.VAE", MODELS["vae"]),
    (
        D | {"denoiser": {"class": "plain_cnn.PlainCNN", "hidden_channels": [4, 4]}},
        "set the model's key time_input to 'fraction'",
        {"time_input": "fraction"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "message", "remedy"), MODEL_CASES)
def test_a_model_is_built_with_what_its_message_asks_for(
    entry: dict[str, Any], message: str, remedy: dict[str, Any]
) -> None:
    def losses(entry: dict[str, Any]) -> list[tuple[str, torch.Tensor]]:
        batch = Batch(torch.zeros(2, *SHAPE), torch.zeros(2, dtype=torch.long), Noise(torch.arange(2)))
        return list(build(entry, SHAPE).losses(batch, 0))

    assert message in said_by(lambda: losses(entry))
    assert losses(remedy if "class" in remedy else entry | remedy)


TRAINING = {"steps": 10, "batch_size": 8}
TRAINING_CASES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (TRAINING | {"flops": 1e12}, "expected one of the two", {"flops": None}),
    (TRAINING | {"flops": 1e12}, "expected one of the two", {"steps": None}),
    (TRAINING | {"steps": None}, "expected steps or flops", {"flops": 1e12}),
    (TRAINING | {"optimizer": {"lr": "2e-4"}}, "write 2.0e-4", {"optimizer": yaml.safe_load("lr: 2.0e-4")}),
]


@pytest.mark.parametrize(("entry", "message", "remedy"), TRAINING_CASES)
def test_a_training_is_read_with_what_its_message_asks_for(
    entry: dict[str, Any], message: str, remedy: dict[str, Any]
) -> None:
    assert message in said_by(lambda: TrainConfig.from_entry(entry))
    TrainConfig.from_entry({key: value for key, value in (entry | remedy).items() if value is not None})


@pytest.mark.parametrize(
    ("model", "options", "remedy"),
    [
        (D | {"num_classes": 4}, {"guidance": 1.0}, {"guidance": 0.0}),
        (MODELS["cold"] | {"mixture_components": 0}, {}, {"mode": "reconstruct"}),
    ],
)
def test_a_sampler_is_taken_with_what_its_message_asks_for(
    model: dict[str, Any], options: dict[str, Any], remedy: dict[str, Any]
) -> None:
    built = build(model, SHAPE)
    assert f"expected {next(iter(remedy.values()))!r}".removesuffix(".0") in said_by(
        lambda: built.check_sampler(options)
    )
    built.check_sampler(options | remedy)


# --- Features, checkpoints, commands


def test_what_made_features_is_said_where_the_reader_can_say_it() -> None:
    sides = {"real": Side("real images", bare=np.zeros((4, 2048), np.float32))}
    assert "; expected features with the network" in said_by(lambda: choose_extractors(None, sides))
    with reader_has("flags"):
        said = said_by(lambda: choose_extractors(None, sides))
    assert "; expected --features with the network" in said
    for name in re.findall(r"inception-\w+", said):
        assert choose_extractors([name], sides) == [name]


def test_one_of_several_state_dicts_is_taken_by_the_key_of_the_message() -> None:
    content = {name: {"weight": torch.full((2,), float(value))} for value, name in enumerate(("model", "ema"))}
    said = said_by(lambda: state_of(content, Path("a.pt")))
    options = yaml.safe_load(said.rpartition("such as ")[2])
    assert state_of(content, Path("a.pt"), **options)[1] == options["key"] == "model"


def test_draws_are_named_as_the_reader_gives_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", arr_0=np.zeros((3, 64, 64, 3), np.uint8))
    (tmp_path / "l.json").write_text(json.dumps([["red cube"]]))
    paths = (tmp_path / "none", tmp_path / "s.npz", str(tmp_path / "l.json"))
    assert "1 draws (draws)" in said_by(lambda: evaluate_objects(*paths))
    assert "expected 1: " not in said_by(lambda: evaluate_objects(*paths, draws=3))  # it gets as far as the evaluator


def test_what_genbench_did_not_draw_is_kept_until_another_place_is_given(tmp_path: Path) -> None:
    (mine := tmp_path / "mine.png").write_bytes(b"mine")
    said = said_by(lambda: outputs.check_free(mine))
    assert not re.search(r"\brm\b|delete", said)
    assert "another --out, or --force" in said
    outputs.check_free(tmp_path / "other.png")
    assert "expected NAME.png, NAME.npz or a folder" in said_by(lambda: outputs.kind_of(tmp_path / "a.gif"))
    assert [outputs.kind_of(tmp_path / name) for name in ("a.png", "a.npz", "a")] == ["picture", "npz", "folder"]


@pytest.mark.parametrize(
    ("suites", "options", "remedy"),
    [
        (["demo"], ["--config", "device=cpu"], "--config KEY=VALUE"),
        (["demo", "device=cpu"], [], "expected it after --config"),
    ],
)
def test_configuration_is_taken_where_the_message_has_it(suites: list[str], options: list[str], remedy: str) -> None:
    assert remedy in said_by(lambda: snakemake_arguments(suites, [], options))
    assert "device=cpu" in snakemake_arguments(["demo"], ["device=cpu"], [])


def test_packages_of_language_models_are_got_by_a_command_that_everybody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    from genbench.suites import language_check

    monkeypatch.setattr(language_check, "find_spec", lambda name: None)
    said = said_by(lambda: language_check.check_suite({}, Path(), "suite", fetch=False))
    assert said.endswith(install("language"))
    assert {name.partition(">=")[0] for name in PACKAGES["language"]} == set(language_check.PACKAGES)


# --- A suite


SUITE: dict[str, Any] = {"title": "Toy", "num_samples": 10, "models": {"vae": {"model": MODELS["vae"]}}}
SUITE["models"]["vae"]["training"] = TRAINING


def written(folder: Path, name: str, **keys: Any) -> str:
    """Write a suite to a file; returns its path."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(SUITE | keys))
    return str(path)


def test_images_without_classes_are_evaluated_as_the_message_writes_it(tmp_path: Path) -> None:
    for number in range(40):
        draw(tmp_path / f"images/{number}.png", value=number + 1)
    data = {"source": "folder", "path": str(tmp_path / "images")}

    def check(**keys: Any) -> None:
        path = Path(written(tmp_path, "toy", dataset=data, **keys))
        check_suite(load_suite(path), str(tmp_path), "toy.yaml")

    said = said_by(check)
    remedy = yaml.safe_load(said.rpartition(": write ")[2].partition(", or likewise")[0])
    # The check then reaches the next fault: ten images are too few.
    assert said_by(partial(check, **remedy)).startswith("toy.yaml: num_samples: found 10")


def test_two_data_sets_of_one_name_are_told_apart_by_the_key_of_the_message(tmp_path: Path) -> None:
    one, other = ({"source": "demo", "classes": classes} for classes in (["0", "1"], ["2", "3"]))
    a = written(tmp_path, "a", dataset=one)
    b = written(tmp_path, "b", dataset=other)
    assert "expected another `name`" in said_by(lambda: load_suites([a, b], {}))
    assert len(load_suites([a, written(tmp_path, "b", dataset=other | {"name": "others"})], {})) == 2
    c = written(tmp_path, "c", dataset=one, models={"vae": {"samples": "x.npz"}})
    assert said_by(lambda: load_suites([a, c], {})).endswith("run one suite after the other")
    assert [len(load_suites([path], {})) for path in (a, c)] == [1, 1]


def test_a_file_beside_class_folders_is_put_into_one_or_moved_out(tmp_path: Path) -> None:
    for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png", "2.png"):
        draw(tmp_path / "images" / name)
    entry = {"source": "folder", "path": str(tmp_path / "images")}
    assert "; put it into one, or move it out" in said_by(lambda: open_dataset(entry, tmp_path))
    (tmp_path / "images/2.png").rename(tmp_path / "images/a/2.png")
    assert open_dataset(entry, tmp_path).description.num_classes == 2
    (tmp_path / "images/a/2.png").rename(tmp_path / "2.png")
    assert open_dataset(entry, tmp_path).description.num_classes == 2


def test_classes_of_images_with_several_labels_are_not_chosen(tmp_path: Path) -> None:
    assert said_by(lambda: open_dataset({"source": "shapes", "classes": ["red cube"]}, tmp_path)).endswith(
        "leave the key out"
    )
    assert open_dataset({"source": "shapes"}, tmp_path).description.multi_label


def test_a_short_text_has_more_lines_or_a_file_of_its_own_held_out(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("one line\n")
    (tmp_path / "two.txt").write_text("one line\nand more\n")
    texts = {"train": "one.txt", "test": "two.txt"}
    assert "expected more, or a file `valid`" in said_by(lambda: read_texts(texts, tmp_path))
    assert read_texts(texts | {"train": "two.txt"}, tmp_path)
    assert read_texts(texts | {"valid": "two.txt"}, tmp_path)


def test_another_text_has_another_name(tmp_path: Path) -> None:
    theirs = tmp_path / "wikitext-2/train.txt"
    theirs.parent.mkdir()
    theirs.write_text("other words\nand more\n")
    texts = {"train": "wikitext-2/train.txt", "test": "wikitext-2/train.txt"}
    assert "give another text another name" in said_by(lambda: read_texts(texts, tmp_path))
    theirs.rename(tmp_path / "mine.txt")
    assert read_texts({"train": "mine.txt", "test": "mine.txt"}, tmp_path)


def test_a_training_whose_history_was_changed_starts_anew_by_the_command_of_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 1), dtype=np.uint8)
    spec = {"model": MODELS["vae"], "training": {"steps": 4, "batch_size": 8, "log_every": 1}}

    def go() -> None:
        out = tmp_path / "my model" / "model.safetensors"
        train(spec, images, np.zeros(32, np.int64), data_sha256="d", seed=0, out=out, device=torch.device("cpu"),
              save_seconds=0)  # fmt: skip

    advance = Trainer.advance

    def stop(self: Trainer, *arguments: Any) -> Any:
        if self.step == 2:
            raise KeyboardInterrupt
        return advance(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            go()
    history = tmp_path / "my model/training/history.jsonl"
    history.write_text(history.read_text().replace('"step": 1', '"step": 7'))
    said = said_by(go)
    assert said.startswith(f"{history}: damaged")
    subprocess.run(said.rpartition("delete that: ")[2], shell=True, check=True)
    go()
    assert (tmp_path / "my model/model.safetensors").exists()
