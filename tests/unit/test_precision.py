"""`precision: auto` depends on the device, is decided once per training, and leaves earlier trainings valid."""

from pathlib import Path

import pytest
import torch
from entries import VAE
from processors import pretend, pretend_apple
from test_training import Unplugged, equal, refuse_to_train, run, task

from genbench.errors import InputError
from genbench.files import weights
from genbench.files.artifacts import read_json
from genbench.machine.precision import multiplies, native_precision, native_to_processor
from genbench.machine.ranks import Ranks
from genbench.training import folder
from genbench.training.run import Task
from genbench.training.trainer import Trainer

AUTO = {"steps": 12, "batch_size": 8, "log_every": 5}
FP32, BF16 = (AUTO | {"precision": precision} for precision in ("fp32", "bf16"))


def precision_of(out: Path) -> str:
    """Return the precision in the record, which must equal that in the weights' file."""
    recorded = read_json(out / "training.json")["precision"]
    assert weights.load_tensors(out / "model.safetensors")[1]["precision"] == recorded
    return str(recorded)


def unplug_at(step: int, patch: pytest.MonkeyPatch) -> None:
    advance = Trainer.advance

    def unplug(self: Trainer) -> object:
        if self.step == step:
            raise Unplugged
        return advance(self)

    patch.setattr(Trainer, "advance", unplug)


def begin(out: Path, recipe: dict) -> None:
    """Train for seven steps, then stop like a killed process."""
    with pytest.MonkeyPatch.context() as patch:
        unplug_at(7, patch)
        with pytest.raises(Unplugged):
            run(out, VAE, recipe, save_seconds=0.0)


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    pretend(monkeypatch, bf16=True)
    return monkeypatch


def test_auto_is_bf16_where_the_processor_multiplies_it_and_else_fp32(
    tmp_path: Path, native: pytest.MonkeyPatch
) -> None:
    assert equal(run(tmp_path / "auto", VAE, AUTO), run(tmp_path / "stated", VAE, BF16))
    assert precision_of(tmp_path / "auto") == "bf16"
    pretend(native, bf16=False)
    assert equal(run(tmp_path / "old", VAE, AUTO), run(tmp_path / "old-stated", VAE, FP32))
    assert precision_of(tmp_path / "old") == "fp32"


def test_auto_asks_a_gpu_and_leaves_apple_s_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, found=found: found)
        assert native_precision(torch.device("cuda")) == expected
    assert native_precision(torch.device("mps")) == "fp32"
    assert multiplies(torch.device("cuda"), "fp16")
    assert not multiplies(torch.device("mps"), "bf16")


def test_a_torch_without_onednn_as_for_apples_processors_multiplies_no_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_apple(monkeypatch)
    assert native_to_processor() == []
    assert native_precision(torch.device("cpu")) == "fp32"
    assert multiplies(torch.device("cpu"), "fp32")


def test_auto_goes_on_in_what_it_began_in_whatever_the_machine(
    tmp_path: Path, native: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = {"bf16": run(tmp_path / "bf16", VAE, BF16), "fp32": run(tmp_path / "fp32", VAE, FP32)}
    begin(tmp_path / "from-new", AUTO)
    pretend(native, bf16=False)
    begin(tmp_path / "from-old", AUTO)
    assert equal(run(tmp_path / "from-new", VAE, AUTO), whole["bf16"])
    assert "continuing in bf16, in which this training was begun elsewhere" in caplog.text
    pretend(native, bf16=True)
    caplog.clear()
    assert equal(run(tmp_path / "from-old", VAE, AUTO), whole["fp32"])
    assert "begun elsewhere" not in caplog.text
    for out in ("from-new", "from-old"):
        assert read_json(tmp_path / out / "training.json")["resumed"] == 1


def test_trainings_of_before_there_was_auto_count_and_go_on_in_fp32(tmp_path: Path, native: pytest.MonkeyPatch) -> None:
    with native.context() as patch:  # as before 0.2, when a fingerprint included the default fp32
        patch.setattr(Task, "fingerprint", Task.earlier_fingerprint)
        whole = run(tmp_path / "finished", VAE, FP32)
        begin(tmp_path / "cut", FP32)
    assert equal(run(tmp_path / "cut", VAE, AUTO), whole)
    assert precision_of(tmp_path / "cut") == "fp32"
    refuse_to_train(native)
    for recipe in (AUTO, FP32, AUTO):
        assert equal(run(tmp_path / "finished", VAE, recipe), whole)


def test_a_stated_precision_is_another_training_and_fresh_decides_anew(
    tmp_path: Path, native: pytest.MonkeyPatch
) -> None:
    run(tmp_path, VAE, AUTO)
    stated = run(tmp_path, VAE, FP32)
    assert precision_of(tmp_path) == "fp32"
    assert equal(run(tmp_path, VAE, AUTO), stated)  # auto keeps the training in the folder
    run(tmp_path, VAE, AUTO, fresh=True)
    assert precision_of(tmp_path) == "bf16"


def test_an_edit_and_its_undoing_keep_what_auto_was(tmp_path: Path, native: pytest.MonkeyPatch) -> None:
    begin(tmp_path, AUTO)
    begin(tmp_path, AUTO | {"batch_size": 9})
    pretend(native, bf16=False)
    run(tmp_path, VAE, AUTO)
    assert precision_of(tmp_path) == "bf16"


def test_ranks_on_unlike_machines_train_in_what_all_of_them_multiply(
    tmp_path: Path, native: pytest.MonkeyPatch
) -> None:
    team = Ranks()
    native.setattr(team, "gather", lambda value: [value, "fp32"])
    assert folder._decided(task(VAE, AUTO), tmp_path, team, fresh=False).config.precision == "fp32"
    native.setattr(team, "gather", lambda value: [value, "bf16"])
    assert folder._decided(task(VAE, AUTO), tmp_path, team, fresh=False).config.precision == "bf16"
    native.setattr(team, "share", lambda value: "fp16")  # found by rank 0 in its folder
    assert folder._decided(task(VAE, AUTO), tmp_path, team, fresh=False).config.precision == "fp16"


def test_fp16_is_refused_on_a_processor_that_would_emulate_it(tmp_path: Path, native: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^training: key 'precision': found 'fp16', .* expected auto, fp32 or bf16"):
        run(tmp_path, VAE, AUTO | {"precision": "fp16"})
    task(VAE, AUTO | {"precision": "fp16"}).config.check_device(torch.device("cuda"))
