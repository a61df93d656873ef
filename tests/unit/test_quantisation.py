"""Quantised networks are close to float32 with the same seeds, and smaller; rows state what a machine lacks."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from entries import IMAGE_SHAPE, MODELS, blobs
from PIL import Image
from processors import pretend_apple
from torch import nn

from genbench.data.image_set import make_image_set, save_image_set
from genbench.errors import InputError
from genbench.files.weights import save_tensors
from genbench.images import to_pixels
from genbench.metrics import psnr
from genbench.models import Model, build
from genbench.networks.lucidrains import StandardisedConv
from genbench.processes.noise import Noise
from genbench.records.plan import QuantisedSampler
from genbench.sampling import quantisation
from genbench.sampling.quantisation import LAYERS, SCHEMES, Autocast, UnavailableError, check_scheme, quantise
from genbench.suites.load import load_suite
from genbench.suites.preflight import preflight

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
DDIM = {"method": "ddim", "steps": 4}


def made(name: str = "ddpm", wide: bool = True, **keys: object) -> Model:
    """A model with random weights even in its last layer; wide: so wide that scales add little to its size."""
    entry = MODELS[name] | keys
    if wide and name == "ddpm":
        entry["denoiser"] = entry["denoiser"] | {"channels": 32, "norm_groups": 8}
    torch.manual_seed(0)
    model = build(entry, IMAGE_SHAPE).eval().requires_grad_(False)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
    return model


def drawn(model: Model, **options: object) -> np.ndarray:
    with torch.inference_mode():
        return to_pixels(model.sample(Noise(torch.arange(20)), **options)).numpy()


def quantised(scheme: str, model: Model, **options: object) -> dict:
    try:
        return quantise(model, scheme, CPU, options)
    except UnavailableError as error:
        pytest.skip(str(error))


# The bounds allow for the rounding errors of random networks, which no training has reduced.
@pytest.mark.parametrize(
    ("scheme", "least", "share"),
    [("bf16", 35, 0.55), ("fp16", 45, 0.55), ("int8-weights", 30, 0.4), ("int8-static", 20, 0.4)],
)
def test_images_stay_close_and_files_shrink(scheme: str, least: float, share: float) -> None:
    reference = drawn(made(), **DDIM)
    model = made()
    record = quantised(scheme, model, **DDIM)
    ratios = psnr(drawn(model, **DDIM), reference)
    assert least < ratios.mean() < 72, ratios.mean()  # of equal images it is 72.2
    assert record["network_bytes"] < share * record["network_bytes_fp32"]
    again = made()
    quantised(scheme, again, **DDIM)
    assert np.array_equal(drawn(again, **DDIM), drawn(model, **DDIM))


def test_half_precision_is_autocast_bit_for_bit() -> None:
    reference, model = made(), made()
    quantised("bf16", model, **DDIM)
    with torch.autocast("cpu", torch.bfloat16):
        expected = drawn(reference, **DDIM)
    assert np.array_equal(drawn(model, **DDIM), expected)


UNET = {"class": "lucidrains.UNet", "channels": 8, "channel_mult": [1, 2], "num_heads": 1, "head_channels": 8}
STANDARDISED = {"denoiser": UNET | {"norm_groups": 4, "standardised": True}}


def converted(scheme: str, network: nn.Module, *inputs: torch.Tensor) -> nn.Module:
    """The network in a scheme, calibrated by one call."""
    try:
        with torch.no_grad():
            return SCHEMES[scheme](network, CPU, lambda: network(*inputs))
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("scheme", ["half", "int8-weights", "int8-static"])
@torch.no_grad()
def test_standardised_convolutions_keep_their_weights(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "half", lambda network, *_: Autocast(network, torch.bfloat16))
    network, x, t = made(wide=False, **STANDARDISED).denoiser, torch.randn(2, *IMAGE_SHAPE), torch.tensor([0, 19])
    with torch.autocast("cpu", torch.bfloat16, enabled=scheme == "half"):
        expected = network(x, t)
    convolutions = [layer for layer in network.modules() if type(layer) is StandardisedConv]
    weights = [layer.weight for layer in convolutions]
    network = converted(scheme, network, x, t)
    found = [layer for layer in network.modules() if isinstance(layer, StandardisedConv)]
    assert found == convolutions
    assert all(layer.weight is weight for layer, weight in zip(found, weights, strict=True))
    assert all(weight.dtype == torch.float32 for weight in weights)
    error = float((network(x, t).float() - expected.float()).norm() / expected.float().norm())
    assert error == 0 if scheme == "half" else 0 < error < 0.15


@pytest.mark.parametrize(
    ("part", "float32"),
    [("generator", {"linear", "stages.0"}), ("discriminator", {"linear", "basis", "stages.2"})],
)
def test_parts_without_autocast_stay_in_float32(part: str, float32: set[str]) -> None:
    reference, network = (made("r3gan").get_submodule(part) for _ in range(2))
    x = torch.randn(3, 8) if part == "generator" else torch.randn(3, *IMAGE_SHAPE)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = reference(x)
    with torch.inference_mode():
        assert torch.equal(Autocast(network, torch.bfloat16)(x), expected)
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            kept = any(name == place or name.startswith(f"{place}.") for place in float32)
            assert layer.weight.dtype == (torch.float32 if kept else torch.bfloat16), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_transposed_convolutions_in_half_precision_are_autocast_bit_for_bit(dtype: torch.dtype) -> None:
    network, z = made("gan").generator, torch.randn(3, 8)
    with torch.autocast("cpu", dtype):
        expected = network(z)
    network = Autocast(network, dtype)
    assert torch.equal(network(z), expected)
    transposed = [layer for layer in network.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert {layer.weight.dtype for layer in transposed} == {dtype}


@pytest.mark.parametrize("scheme", ["int8-weights", "int8-static"])
@torch.no_grad()
def test_transposed_convolutions_are_not_quantised(scheme: str) -> None:
    network, z = made("vae").autoencoder.decoder, torch.randn(3, 4)
    expected = network(z)
    weights = [layer.weight for layer in network.modules() if isinstance(layer, nn.ConvTranspose2d)]
    network = converted(scheme, network, z)
    found = [layer.weight for layer in network.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert len(weights) > 0
    assert all(map(torch.Tensor.is_set_to, found, weights))
    assert 0 < float((network(z) - expected).norm() / expected.norm()) < 0.15  # from its linear layer


@pytest.mark.parametrize(
    ("network", "refused"),
    [
        (nn.ConvTranspose2d(2, 4, 3), {"int8-weights", "int8-static"}),
        (nn.Conv2d(1, 4, 3), {"int8-weights"}),
        (StandardisedConv(2, 4, 3), {"int8-weights", "int8-static"}),
        (nn.Linear(2, 4), set()),
        (nn.ReLU(), set(SCHEMES)),
    ],
)
def test_a_scheme_needs_a_layer_that_it_converts(network: nn.Module, refused: set[str]) -> None:
    model = made("gan")
    model.generator = nn.Sequential(network)
    for scheme in SCHEMES.keys() - refused:
        check_scheme(model, scheme)
    for scheme in refused:
        with pytest.raises(InputError, match=f"quantisation: {scheme}: the generator has no convolutions or linear"):
            check_scheme(model, scheme)


@pytest.mark.parametrize("scheme", ["bf16", "int8-weights", "int8-static"])
def test_other_networks(scheme: str) -> None:
    reference, model = drawn(made("ddgan")), made("ddgan")
    record = quantised(scheme, model)
    assert psnr(drawn(model), reference).mean() > 15
    assert record["network_bytes"] < record["network_bytes_fp32"]


@pytest.mark.parametrize(
    ("name", "keys", "left"),
    [
        ("cold", {}, 1),  # the first convolution of grey images
        ("r3gan", {"generator": MODELS["r3gan"]["generator"] | {"group_width": 1}}, 3),  # one in each block
        ("vae", {"latent_size": 1}, 1),  # a linear layer
    ],
)
def test_int8_weights_leave_out_layers_with_one_input_channel(name: str, keys: dict, left: int) -> None:
    reference, model = drawn(made(name, **keys)), made(name, **keys)
    quantised("int8-weights", model)
    found = [layer.weight for layer in model.get_submodule(model.network).modules() if type(layer) in LAYERS]
    assert [weight.shape[1] == 1 for weight in found] == [type(weight) is nn.Parameter for weight in found]
    assert sum(type(weight) is nn.Parameter for weight in found) == left < len(found)
    assert 25 < psnr(drawn(model), reference).mean() < 72


@pytest.mark.parametrize(("steps", "most_between"), [(2, 2), (20, 1)])
def test_calibration_covers_the_times_in_no_more_evaluations_than_the_samples(steps: int, most_between: int) -> None:
    model, seen = made(wide=False, timesteps=150), []
    model.denoiser.register_forward_pre_hook(lambda _, given: seen.append(given))
    with torch.inference_mode():
        model.calibrate(Noise(torch.arange(64), key=1), method="ddim", steps=steps)
    times = torch.cat([t for _, t in seen])
    covered = torch.unique(times[64 * steps :])  # the first are the samples' own evaluations
    assert (covered[0], covered[-1]) == (0, 149)  # the network gets t - 1
    assert covered.diff().max() == most_between
    assert len(times) <= 2 * 64 * steps
    images = torch.cat([x for x, _ in seen[steps:]])
    noisy, clean = (images[times[64 * steps :] == t].std().item() for t in (149, 0))
    assert abs(noisy - 1) < 0.15  # inputs are noise at T and samples near t = 0
    assert abs(clean - noisy) > 0.01


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(UnavailableError, match="torchao is not installed"):
        quantise(made(), "int8-weights", CPU, DDIM)


@pytest.mark.filterwarnings("ignore:(?s).*torch.quantize_per_tensor:UserWarning")
def test_plain_tensors_of_quantised_ones() -> None:
    weight = torch.tensor([[1.0, -2.0], [0.5, 0.25]])
    per_channel = torch.quantize_per_channel(weight, torch.tensor([0.1, 0.01]), torch.tensor([0, 0]), 0, torch.qint8)
    found = dict(quantisation.plain_tensors("", {"a": {"weight": per_channel}, "b": (weight, None), "c": torch.qint8}))
    assert found.keys() == {"a.weight.int", "a.weight.scale", "a.weight.zero", "b.0"}
    assert found["a.weight.int"].dtype == torch.int8
    assert found["a.weight.int"].tolist() == [[10, -20], [50, 25]]


# --- Differences of images --------------------------------------------------------------------------------------------


def test_psnr() -> None:
    images = np.zeros((3, 4, 4, 1), np.uint8)
    other = images.copy()
    other[0] = 255  # an error as large as the peak
    other[1] = 51  # a fifth of it
    assert psnr(images, other) == pytest.approx([0, 20 * np.log10(5), 20 * np.log10(255) + 10 * np.log10(16)])
    with pytest.raises(InputError, match="found images of shapes"):
        psnr(images, other[:2])


# --- Suites -----------------------------------------------------------------------------------------------------------


def suite_file(folder: Path, **entry: object) -> Path:
    denoiser = MODELS["ddpm"]["denoiser"] | {"attention_resolutions": [7]}
    model = {
        "model": MODELS["ddpm"] | {"denoiser": denoiser},
        "training": {"steps": 3, "batch_size": 8},
        "samplers": {"ddim": DDIM},
    }
    suite = {
        "title": "Toy",
        "dataset": {"source": "demo"},
        "num_samples": 200,
        "evaluation": {"options": {"kid_subset_size": 50}},
        "models": {"ddpm": model | entry},
    }
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(suite))
    return path


def test_a_suite_adds_a_sampler_for_each_scheme(tmp_path: Path) -> None:
    path = suite_file(tmp_path, quantisation={"sampler": "ddim", "schemes": list(SCHEMES)})
    suite = load_suite(path)
    samplers = suite["models"]["ddpm"]["samplers"]
    assert list(samplers) == ["ddim", *(f"ddim-{scheme}" for scheme in SCHEMES)]
    assert samplers["ddim-bf16"] == {**DDIM, "quantisation": "bf16"}
    found = preflight(suite, "none", str(path)).models["ddpm"].samplers
    assert found["ddim-bf16"].quantisation == QuantisedSampler(scheme="bf16", sampler="ddim")
    assert found["ddim-bf16"].options == found["ddim"].options == DDIM
    assert found["ddim-bf16"].nfe == 4
    assert found["ddim"].quantisation is None


def test_a_sampler_may_draw_in_bf16(tmp_path: Path, model_file: Path) -> None:
    samplers = {"a": DDIM, "b": {**DDIM, "precision": "bf16"}}
    path = suite_file(tmp_path, samplers=samplers)
    found = preflight(load_suite(path), "none", str(path)).models["ddpm"].samplers
    assert [plan.options for plan in found.values()] == [DDIM, DDIM]
    assert [plan.precision for plan in found.values()] == ["fp32", "bf16"]
    assert [[remark for remark in plan.remarks if "bf16" in remark] for plan in found.values()] == [
        [],
        ["drawn in bf16"],
    ]
    assert sample(model_file, tmp_path / "half", "0:10", precision="bf16")["precision"] == "bf16"
    assert sample(model_file, tmp_path / "single", "0:10", precision="fp32")["precision"] == "fp32"
    path = suite_file(tmp_path, samplers={"a": {**DDIM, "precision": "half"}})
    with pytest.raises(InputError, match="samplers: a: key 'precision': found 'half', expected fp32 or bf16"):
        preflight(load_suite(path), "none", str(path))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"quantisation": {"sampler": "ddim", "schemes": ["int8-weight"]}},
            "quantisation: schemes: 0: found 'int8-weight' (did you mean 'int8-weights'?); expected one of: bf16, fp16",
        ),
        ({"quantisation": {"sampler": "dim", "schemes": ["bf16"]}}, "quantisation: sampler: found 'dim' (did you mean"),
        ({"quantisation": {"sampler": "ddim"}}, "quantisation: key 'schemes' is missing"),
        ({"samplers": {"ddim": {"quantisation": "bf16"}}}, "samplers: ddim: found 'quantisation', expected it beside"),
        (
            {"samplers": {"a": {}, "a-bf16": {}}, "quantisation": {"sampler": "a", "schemes": ["bf16"]}},
            "samplers: found 'a-bf16', the name of a quantised 'a'",
        ),
        (
            {"samplers": {"a": {"precision": "bf16"}}, "quantisation": {"sampler": "a", "schemes": ["int8-static"]}},
            "quantisation: sampler: found 'a', which has precision: bf16, expected a sampler in fp32",
        ),
    ],
)
def test_wrong_keys(tmp_path: Path, entry: dict, message: str) -> None:
    path = suite_file(tmp_path, **entry)
    with pytest.raises(InputError) as caught:
        load_suite(path)
    assert str(caught.value).startswith(f"{path}: models: ddpm: ")
    assert message in str(caught.value)


# --- Scripts ----------------------------------------------------------------------------------------------------------


def script(name: str, *arguments: object) -> int:
    """Run a script in this process, which already has torch; returns its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(ROOT / "scripts" / name), *map(str, arguments)])
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    entry = MODELS["ddpm"]
    save_tensors(path, build(entry, IMAGE_SHAPE).state_dict(), {"model": entry, "image_shape": IMAGE_SHAPE})
    return path


def sample(model_file: Path, out: Path, seeds: str, **options: object) -> dict:
    arguments = ["--model", model_file, "--sampler", json.dumps(DDIM | options), "--seeds", seeds, "--batch-size", 10]
    places = ["--out", out / "samples.npz", "--timing", out / "timing.json", "--grid", out / "grid.png"]
    assert script("sample.py", *arguments, *places, "--device", "cpu") == 0
    return json.loads((out / "timing.json").read_text())


def compare(folder: Path, name: str) -> int:
    samples, out = folder / name / "samples.npz", folder / name / "paired.json"
    return script("compare_samples.py", "--samples", samples, "--reference", folder / "fp32/samples.npz", "--out", out)


def test_pairs_of_samples(model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = sample(model_file, tmp_path / "fp32", "0:20")
    small = sample(model_file, tmp_path / "int8", "0:20", quantisation="int8-weights")
    sample(model_file, tmp_path / "others", "10:30", quantisation="int8-weights")
    assert (plain["precision"], plain["quantisation"]) == ("fp32", None)
    assert (small["precision"], small["quantisation"]["scheme"]) == ("int8-weights", "int8-weights")
    assert small["seeds"] == plain["seeds"] == "0:20"
    assert small["nfe"] == plain["nfe"] == 4
    drawn = [np.load(tmp_path / name / "samples.npz")["arr_0"] for name in ("int8", "others")]
    assert np.array_equal(drawn[0][10:], drawn[1][:10])  # seeds 10 to 19, drawn in two ranges

    assert compare(tmp_path, "int8") == 0
    paired = json.loads((tmp_path / "int8/paired.json").read_text())
    assert paired["num_images"] == 20
    assert paired["psnr"] > 30
    assert compare(tmp_path, "others") == 2
    assert "seeds: found '10:30', expected '0:20'" in capsys.readouterr().err


@pytest.mark.parametrize("scheme", ["bf16", "fp16"])
def test_without_onednn_as_for_apples_processors_the_row_says_so(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    pretend_apple(monkeypatch)
    timing = sample(model_file, tmp_path / scheme, "0:20", quantisation=scheme)
    assert timing["unavailable"] == "PyTorch has no oneDNN for this processor"


def test_what_is_missing_is_said_by_every_file_and_fails_nothing(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchao", None)
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    sample(model_file, tmp_path / "fp32", "0:20")
    reason = sample(model_file, tmp_path / "int8", "0:20", quantisation="int8-weights")["unavailable"]
    assert "torchao is not installed" in reason
    assert compare(tmp_path, "int8") == 0
    assert json.loads((tmp_path / "int8/paired.json").read_text())["unavailable"] == reason
    features, metrics, picture = (tmp_path / name for name in ("features.npz", "metrics.json", "neighbours.png"))
    samples = tmp_path / "int8/samples.npz"
    images = ["--images", samples, "--extractor", "classifier:none", "--out", features, "--device", "cpu"]
    assert script("extract_features.py", *images) == 0
    assert script("evaluate.py", "--real", features, "--fake", features, "--out", metrics) == 0
    found = json.loads(metrics.read_text())
    assert (found["metrics"], found["unavailable"]) == ({}, reason)
    train = tmp_path / "train.npz"
    save_image_set(
        train, make_image_set(*blobs(4), list("abcd"), dataset="-", split="train", source="-", source_sha256="-")
    )
    shown = ["--metrics", metrics, "--headline", "fd_classifier", "--samples", samples, "--train", train]
    assert script("draw_neighbours.py", *shown, "--out", picture) == 0
    with Image.open(picture) as blank:
        assert blank.size == (16, 16)
