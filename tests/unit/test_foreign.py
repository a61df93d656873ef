"""Generators whose code is not in genbench: they draw their own images, and errors are one line."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from genbench import own_code
from genbench.data import Description
from genbench.errors import InputError
from genbench.importing import import_checkpoint
from genbench.models.foreign import draw_latents
from genbench.processes.noise import Noise
from genbench.sampling.batch import CallCounter, sample_pixels
from genbench.sampling.checkpoint import load_model
from genbench.suites.entries import check_pretrained
from genbench.suites.load import load_suite

WEIGHTS = np.random.Generator(np.random.Philox(1)).normal(0, 0.3, (3, 48)).astype(np.float32)
STUDENT = """
import numpy as np

def sample(seeds):
    print("a line that belongs in the log")
    return np.stack([np.random.Generator(np.random.Philox(s)).integers(0, 256, (4, 4, 1), np.uint8) for s in seeds])
"""


def write_onnx(path: Path, batch: int | str = "N", beside: str | None = None) -> Path:
    """images (N, 3, 4, 4) = tanh(z W), z (N, 3); the weights are in the file, or in one beside it."""
    weights = numpy_helper.from_array(WEIGHTS, "W")
    if beside is not None:
        path.with_name("w.bin").write_bytes(WEIGHTS.tobytes())
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value=beside)
    shape = numpy_helper.from_array(np.array([-1, 3, 4, 4], np.int64), "shape")
    nodes = [
        helper.make_node("MatMul", ["z", "W"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("Reshape", ["b", "shape"], ["x"]),
    ]
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, [batch, 3])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 4, 4])
    graph = helper.make_graph(nodes, "g", [z], [x], [weights, shape])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(made.SerializeToString())
    return path


def load(folder: Path, **entry: Any) -> dict[str, Any]:
    """A complete entry of a suite in this folder."""
    suite = {"title": "T", "dataset": {"source": "demo"}, "models": {"theirs": entry}}
    (folder / "s.yaml").write_text(yaml.safe_dump(suite))
    loaded: dict[str, Any] = load_suite(folder / "s.yaml")["models"]["theirs"]
    return loaded


def imported(folder: Path, **entry: Any) -> Any:
    """The model from such an entry, and the record in its file."""
    given = load(folder, **entry)["pretrained"]
    info = import_checkpoint(given.pop("format"), given.pop("path"), folder / "m.safetensors", **given)
    return load_model(folder / "m.safetensors")[0], info


def test_a_function_draws_in_a_process_of_its_own_what_it_draws_by_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "student.py").write_text(f"{STUDENT}\nimport os\nfrom beside import PID\nPID(__file__)\n")
    (tmp_path / "beside.py").write_text("import os\ndef PID(f): open(f + '.pid', 'w').write(str(os.getpid()))\n")
    model, info = imported(tmp_path, callable={"file": "student.py"})
    namespace: dict[str, Any] = {}
    exec(STUDENT, namespace)
    expected = namespace["sample"](range(7, 12))
    assert np.array_equal(sample_pixels(model, torch.arange(7, 12), {}).numpy(), expected)  # all 256 levels survive
    assert "a line that belongs in the log\n" in capfd.readouterr().err
    assert int((tmp_path / "student.py.pid").read_text()) != os.getpid()
    assert model.family == "Foreign function"
    assert model.remarks({})[0].startswith("foreign code: student.py: sample (SHA-256 ")
    assert info["imported"]["files"][0]["name"] == "student.py"
    assert "foreign code: student.py: sample" in info["imported"]["note"]
    before = load(tmp_path, callable={"file": "student.py"})
    (tmp_path / "student.py").write_text(STUDENT + "\n# edited\n")
    assert load(tmp_path, callable={"file": "student.py"}) != before  # so it is run again


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return np.zeros((len(seeds), 4, 4, 1))",
            r"found float64 of shape \(4, 4, 4, 1\) with values from 0 to 0, expe",
        ),
        (
            "return np.zeros((len(seeds), 4, 4), np.uint8)",
            r"found uint8 of shape \(4, 4, 4\) .*, expected uint8 of shape ",
        ),
        (
            "return np.ones((len(seeds), 4, 4, 1), np.uint8)",
            "found uint8 images of 0 to 1, expected levels from 0 to 255",
        ),
        ("return [{}] * len(seeds)", r"found object of shape \(4,\), expected uint8 of shape \(4, H, W, C\)"),
        ("raise ValueError('no weights')", r"line 3: ValueError: no weights; expected uint8 of shape \(\d, H, W, C\)"),
        ("import os; os._exit(3)", "the process ended with status 3 without an answer"),
        ("import sys; sys.exit(1)", "line 3: SystemExit: 1"),
    ],
)
def test_what_a_function_does_wrong_is_one_line(tmp_path: Path, body: str, message: str) -> None:
    (tmp_path / "student.py").write_text(f"import numpy as np\ndef sample(seeds):\n    {body}\n")
    with pytest.raises(InputError, match=f"^student.py: sample: {message}"):
        imported(tmp_path, callable={"file": "student.py"})


def test_what_a_function_reads_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "student.py").write_text(STUDENT)
    (tmp_path / "w.bin").write_bytes(b"weights")
    _, info = imported(tmp_path, callable={"file": "student.py", "files": ["w.bin"]})
    assert [file["name"] for file in info["imported"]["files"]] == ["student.py", "w.bin"]
    with pytest.raises(InputError, match=r"models: theirs: callable: files: found 'x.bin', and no such file in"):
        load(tmp_path, callable={"file": "student.py", "files": ["x.bin"]})
    with pytest.raises(InputError, match=r"^student.py: sampel: found the functions sample, expected one of this name"):
        imported(tmp_path, callable={"file": "student.py", "function": "sampel"})


def test_a_function_that_looks_at_its_batch_is_said_to(tmp_path: Path) -> None:
    draw = "np.random.Generator(np.random.Philox(int(seeds[0]))).integers(0, 256, (len(seeds), 4, 4, 1), 'uint8')"
    (tmp_path / "student.py").write_text(f"import numpy as np\ndef sample(seeds):\n    return {draw}\n")
    model, info = imported(tmp_path, callable={"file": "student.py"})
    assert "the same seeds gave other images in another batch" in model.remarks({})
    assert info["imported"]["note"].count("the same seeds gave other images in another batch") == 1


def test_a_file_of_ours_runs_no_code_that_this_process_was_not_told_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "student.py").write_text(STUDENT)
    imported(tmp_path, callable={"file": "student.py"})
    monkeypatch.setattr(own_code, "_allowed", {})
    with pytest.raises(InputError, match=r"student.py:sample#.*this process may not run"):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize("batch", ["N", 1, 2])
def test_a_program_in_onnx_draws_what_its_arithmetic_says(tmp_path: Path, batch: int | str) -> None:
    write_onnx(tmp_path / "g.onnx", batch)
    model, info = imported(tmp_path, onnx={"file": "g.onnx", "latent": {"size": 3}, "range": [-1, 1]})
    z = Noise(torch.arange(5, 8)).normal(3).numpy()
    expected = (np.tanh(z @ WEIGHTS) * 127.5 + 127.5).reshape(3, 3, 4, 4).transpose(0, 2, 3, 1)
    with CallCounter().on(model) as counter:
        found = sample_pixels(model, torch.arange(5, 8), {}).numpy()
    assert np.abs(found - expected).max() <= 0.501  # the nearest level, up to the last bits of tanh
    assert counter.calls == 1
    assert info["image_shape"] == (3, 4, 4)
    assert model.num_parameters == WEIGHTS.size + 4
    assert model.pictures == ("interpolation",)


def test_weights_beside_a_program_are_read_from_its_folder_only(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    entry = {"file": "g.onnx", "latent": {"size": 3}, "range": [-1, 1]}
    write_onnx(tmp_path / "in/g.onnx", beside="w.bin")
    _, info = imported(tmp_path / "in", onnx=entry)
    assert [file["name"] for file in info["imported"]["files"]] == ["g.onnx", "w.bin"]
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    for elsewhere in ("../w.bin", str(tmp_path / "w.bin")):
        write_onnx(tmp_path / "in/g.onnx", beside=elsewhere)
        with pytest.raises(
            InputError, match=r"g.onnx: found weights in .*w.bin', expected a file in the program's own"
        ):
            imported(tmp_path / "in", onnx=entry)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent": {"size": 4}}, "g.onnx: the program failed: "),
        ({"layout": "NHWC"}, r"g.onnx: found an answer of shape \(4, 3, 4, 4\) to 4 latents, expected \(N, H, W, C\)"),
        ({"range": [0, 255]}, None),
        (
            {"range": [0, 0.01]},
            r"g.onnx: found an answer with values from -.* to .*, expected about 0 to 0.01, as the key",
        ),
        ({"file": "x.onnx"}, r"s.yaml: models: theirs: onnx: file: found 'x.onnx', and no such file in"),
        ({"file": "s.yaml"}, r"s.yaml: not an ONNX program, or damaged"),
    ],
)
def test_what_is_wrong_with_a_program_is_said(tmp_path: Path, change: dict[str, Any], message: str | None) -> None:
    write_onnx(tmp_path / "g.onnx")
    entry = {"file": "g.onnx", "latent": {"size": 3}, "range": [-1, 1], **change}
    if message is None:
        assert imported(tmp_path, onnx=entry)[0].num_parameters
    else:
        with pytest.raises(InputError, match=message):
            imported(tmp_path, onnx=entry)


@pytest.mark.parametrize("batch", ["any", 2])
def test_a_program_of_torch_export_is_read_only_where_it_is_trusted(
    tmp_path: Path, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.ConvTranspose2d(3, 1, 4), nn.Sigmoid())
    shapes: dict[str, Any] = {"dynamic_shapes": ({0: torch.export.Dim("N")},)} if batch == "any" else {}
    torch.export.save(torch.export.export(network, (torch.zeros(2, 3, 1, 1),), **shapes), tmp_path / "g.pt2")
    latent = {"size": [3, 1, 1], "distribution": "uniform"}
    entry = {"file": "g.pt2", "latent": latent, "range": [0, 1]}
    with pytest.raises(InputError, match=r"torch_export: trusted: found false, but reading g\.pt2 may run code"):
        load(tmp_path, torch_export=entry)
    model, _ = imported(tmp_path, torch_export={**entry, "trusted": True})
    assert model.known_parameters() == {"program": 3 * 16 + 1}
    z = draw_latents(Noise(torch.arange(3)), [3, 1, 1], "uniform")
    assert float(z.abs().max()) < 1
    expected = (network(z) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    assert int((sample_pixels(model, torch.arange(3), {}).int() - expected.int()).abs().max()) <= 1
    monkeypatch.setattr(own_code, "_allowed", {})
    with pytest.raises(InputError, match=r"g.pt2:program#.*this process may not run"):
        sample_pixels(load_model(tmp_path / "m.safetensors")[0], torch.arange(3), {})


def test_what_is_known_of_a_program_before_anything_runs(tmp_path: Path) -> None:
    write_onnx(tmp_path / "g.onnx")
    (tmp_path / "student.py").write_text(STUDENT)
    data = Description("d", "D", 4, 4, 3, 10, 100, 10)
    program = {"file": "g.onnx", "latent": {"size": 3}, "range": [-1, 1]}
    entry = load(tmp_path, onnx=program, pictures=["interpolation"])
    found = check_pretrained(entry, data, ".", costs=True)
    assert found["parameters"] == {"program": WEIGHTS.size + 4}
    sampler = found["samplers"]["default"]
    assert (sampler["nfe"], sampler["flops_per_image"]) == (1, None)
    entry = load(tmp_path, callable={"file": "student.py"})
    with pytest.raises(
        InputError, match=r"callable: found a model of images of shape .* = \(1, 4, 4\), expected \(3, 4"
    ):
        check_pretrained(entry, data, ".", costs=False)
    entry = load(tmp_path, onnx=program, samplers={"half": {"precision": "bf16"}})
    with pytest.raises(InputError, match=r"quantisation: bf16: the program has no convolutions or linear layers$"):
        check_pretrained(entry, data, ".", costs=True)


def test_an_entry_is_one_thing(tmp_path: Path) -> None:
    write_onnx(tmp_path / "g.onnx")
    (tmp_path / "student.py").write_text(STUDENT)
    program = {"file": "g.onnx", "latent": {"size": 3}, "range": [-1, 1]}
    with pytest.raises(InputError, match="models: theirs: found callable, onnx, expected one of them"):
        load(tmp_path, onnx=program, callable={"file": "student.py"})
    with pytest.raises(InputError, match="found pretrained, samples of the keys that say what this is"):
        load(tmp_path, onnx=program, samples="x")
