"""A training, from an entry of a suite to its files: saved as it goes, continued after a stop, published whole.

Everything lies in a folder `training` beside the results until it is finished; what a step does is in trainer.py.
Several ranks train one model together; the first alone holds the folder and writes.
"""

import copy
import logging
import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genbench import provenance, weights
from genbench.artifacts import atomic_path, check_sha256, read_json, sha256_json, write_json
from genbench.batches import Batches, Slice
from genbench.data import ImageSet
from genbench.devices import device_label
from genbench.distributed import connect, copy_from_first, disconnect, synchronise_batch_norm
from genbench.errors import InputError
from genbench.history import History
from genbench.locks import locked
from genbench.models import Model, build, count_parameters
from genbench.progress import Progress, clock
from genbench.ranks import Ranks, ranks
from genbench.recipe import TrainConfig
from genbench.trainer import Trainer

log = logging.getLogger(__name__)


@contextmanager
def _stop_on_signal() -> Iterator[Callable[[], int | None]]:
    """SIGTERM and SIGINT are remembered, so that the loop can save before it leaves; a second one acts at once."""
    received: list[int] = []

    def remember(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _claim(folder: Path, fingerprint: str) -> None:
    """Make `folder` that of the training `fingerprint`: another's files go to `folder`/previous, its own come back.

    One previous training is kept, finished or not, so that an edit of a suite and its undoing cost nothing. Whenever
    this is interrupted, the next call completes it: the file that names a training always moves last.
    """
    stamp, previous, returning = folder / "fingerprint", folder / "previous", folder / "returning"

    def move(source: Path, target: Path) -> None:
        target.mkdir(exist_ok=True)
        files = [path for path in source.iterdir() if path.is_file() and path.name not in ("lock", stamp.name)]
        for path in [*files, source / stamp.name]:
            if path.exists():
                os.replace(path, target / path.name)

    def bring_back() -> None:
        if returning.exists():
            move(returning, folder)
            returning.rmdir()

    bring_back()
    if stamp.exists() and stamp.read_text(errors="replace") != fingerprint:
        if (previous / stamp.name).exists():
            if (previous / stamp.name).read_text(errors="replace") == fingerprint:
                os.replace(previous, returning)
            else:
                shutil.rmtree(previous)
        log.info("another training of this model, by another entry, data set or device, is kept in %s", previous)
        move(folder, previous)
        bring_back()
    if not stamp.exists():
        with atomic_path(stamp) as temporary:  # half of it would be another training's
            temporary.write_text(fingerprint)


def _publish(source: Path, target: Path) -> None:
    """Make `target` the same file as `source` (a hard link costs no space), whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, temporary)
    os.utime(temporary)  # Snakemake takes an output that is older than its input for out of date
    os.replace(temporary, target)


def _is_finished(done_path: Path, done: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether the folder of `done_path` holds the undamaged results of the training that `done` identifies."""
    if not done_path.exists():
        return False
    try:
        if read_json(done_path) != done:
            return False
        for name in names:
            weights.load_tensors(done_path.with_name(name))
        training = read_json(done_path.with_name("training.json"))
        check_sha256(done_path.with_name("history.jsonl"), training["history_sha256"])
    except InputError as error:
        log.warning("training again, since %s", error)
        return False
    return True


def train(
    spec: Mapping[str, Any],
    images: np.ndarray,
    labels: np.ndarray,
    *,
    data_sha256: str,
    seed: int,
    out: Path,
    snapshots: Sequence[int] = (),
    held_out: ImageSet | None = None,
    first_stage: Path | None = None,
    device: torch.device,
    save_seconds: float = 60.0,
    fresh: bool = False,
) -> None:
    """Train the model of `spec` and write `out`, and beside it history.jsonl, training.json and snapshots/.

    spec: {"model": entry, "training": entry}. images: uint8 (N, H, W, C). held_out: what `validate_every` looks at.
    first_stage: the trained model that a model of two stages builds upon (see Model.first_stage).
    While it runs, everything lies in the folder `training` beside `out`, saved at least every `save_seconds`; the
    results appear at the end, as links to it. A later call with the same arguments goes on from the last save (`fresh`
    begins anew), with as many ranks as it has then: their number is no part of what is trained.
    Raises InputError for a bad spec, a damaged save, or a loss that is not finite.
    """
    config = TrainConfig.from_entry(spec["training"])
    if any(not 0 <= snapshot < config.steps for snapshot in snapshots):
        raise InputError(f"snapshots: found {sorted(snapshots)}, expected steps from 0 to {config.steps - 1}")
    if config.validate_every and held_out is None:
        raise InputError(f"training: key 'validate_every': found {config.validate_every}, but no held-out images")
    others = [held_out.info["sha256"]] if config.validate_every and held_out is not None else []
    stage = weights.load_tensors(first_stage) if first_stage is not None else None
    if stage is not None:
        others.append(stage[1]["sha256"])
    fingerprint = sha256_json(
        [spec["model"], asdict(config), data_sha256, seed, sorted(snapshots), device.type, *others]
    )
    folder = out.parent / "training"
    done_path = folder / "done.json"
    done = {"fingerprint": fingerprint, "code": provenance.code_sha256()}
    names = [f"{snapshot}.safetensors" for snapshot in snapshots]
    team = ranks()
    with locked(folder / "lock", "training this very model") if team.first else nullcontext():
        finished = False
        if team.first:
            for left in folder.glob(".*.tmp*"):  # by a process that was killed while it saved
                left.unlink()
            _claim(folder, fingerprint)
            finished = not fresh and _is_finished(done_path, done, [*names, "model.safetensors"])
            if not finished:
                done_path.unlink(missing_ok=True)
        if team.share(finished):
            log.info("already trained with this very code, data and configuration: nothing to do but to publish it")
        else:
            connect(team, device)
            _run(
                spec,
                config,
                images,
                labels,
                data_sha256,
                seed,
                sorted(snapshots),
                held_out,
                stage,
                device,
                folder,
                fingerprint,
                save_seconds,
                fresh,
                team,
            )
            disconnect()
        if not team.first:
            return
        if not finished:
            write_json(done_path, done)
            (folder / "state.safetensors").unlink(missing_ok=True)
        (out.parent / "snapshots").mkdir(exist_ok=True)  # the workflow expects the folder even when it is empty
        for name in names:
            _publish(folder / name, out.parent / "snapshots" / name)
        _publish(folder / "history.jsonl", out.parent / "history.jsonl")
        _publish(folder / "training.json", out.parent / "training.json")
        _publish(folder / "model.safetensors", out)


def _load_first_stage(
    model: Model, spec: Mapping[str, Any], stage: tuple[dict[str, Tensor], dict[str, Any]] | None
) -> None:
    """Give a model of two stages the weights of the first; InputError if they are missing or of another model."""
    name = model.first_stage
    if (name is None) != (stage is None):
        raise InputError(
            f"first stage: found {'none' if stage is None else 'one'}, expected "
            f"{'none' if name is None else f'the trained {name} of {type(model).__name__}'}"
        )
    if name is None or stage is None:
        return
    tensors, info = stage
    if info["model"] != spec["model"][name]:
        raise InputError(f"first stage: found a model {info['model']}, expected {spec['model'][name]}")
    part = model.get_submodule(name)
    part.load_state_dict(tensors)
    part.requires_grad_(False)


def _run(
    spec: Mapping[str, Any],
    config: TrainConfig,
    images: np.ndarray,
    labels: np.ndarray,
    data_sha256: str,
    seed: int,
    snapshots: Sequence[int],
    held_out: ImageSet | None,
    stage: tuple[dict[str, Tensor], dict[str, Any]] | None,
    device: torch.device,
    folder: Path,
    fingerprint: str,
    save_seconds: float,
    fresh: bool,
    team: Ranks,
) -> None:
    """Train in `folder` from its last save, if that is of the same training, to the end."""
    torch.manual_seed(seed)
    image_shape = (images.shape[3], images.shape[1], images.shape[2])
    with torch.device(device):
        model = build(spec["model"], image_shape)
    config.check_model(model)
    config.check_ranks(model, team.size)
    _load_first_stage(model, spec, stage)
    part = None
    if team.size > 1:
        copy_from_first(model)
        part = Slice.of(team, config.batch_size // config.accumulate, model.group_size, device)
        if config.sync_batch_norm:
            synchronise_batch_norm(model)
    model = model.to(memory_format=torch.channels_last)  # as the images are stored; the faster layout for convolutions
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    batches = Batches(images, labels, seed, config, device, part)
    validation = Batches(held_out.images, held_out.labels, seed, config, device) if held_out is not None else None
    trainer = Trainer(model, config, batches, seed, device, team)

    state_path = folder / "state.safetensors"
    seconds_before, resumed = 0.0, 0
    sums: tuple[dict[str, Tensor], dict[str, int]] = ({}, {})
    if state_path.exists() and not fresh:
        tensors, info = weights.load_tensors(state_path, device)
        if info["fingerprint"] == fingerprint:
            trainer.restore(tensors, info)
            sums = tensors, info["history"]
            seconds_before, resumed = info["seconds"], info["resumed"] + 1
            log.info("continuing from step %d of %d", trainer.step, config.steps)
        del tensors
    if len(steps := set(team.gather(trainer.step))) > 1:
        raise InputError(
            f"{state_path}: found saves of the steps {sorted(steps)} on different machines, expected a folder that all "
            "share"
        )
    history = History(folder / "history.jsonl", trainer.step, writes=team.first)
    if team.first and trainer.step and history.sha256() != info["history_sha256"]:
        raise InputError(
            f"{history.path}: damaged: not as it was at step {trainer.step}, to which {state_path} goes back; "
            f"to train anew, delete that: rm {shlex.quote(str(state_path))}"
        )
    history.restore(*sums)
    started = last_save = time.monotonic()

    def seconds() -> float:
        return seconds_before + time.monotonic() - started

    def check_finite() -> None:
        if (bad := history.first_bad_step()) is not None:
            saved = f"{state_path} (from before that step)" if state_path.exists() else "none yet"
            raise InputError(
                f"the loss is not finite at step {bad}: training stopped; last good save: {saved}. "
                "A lower learning rate, a longer warm-up, clip_norm or precision fp32 may help"
            )

    def save_state() -> None:
        check_finite()
        if not team.first:
            return
        tensors, info = trainer.state()
        sums, counts = history.state()
        info |= {"history": counts, "fingerprint": fingerprint, "seconds": seconds(), "resumed": resumed}
        info["history_sha256"] = history.sha256()
        weights.save_tensors(state_path, tensors | sums, info)

    def save_model(path: Path) -> str:
        check_finite()
        if not team.first:
            return ""
        result = copy.deepcopy(trainer.result).eval()
        with torch.no_grad():
            result.after_training(batches.in_order())
        return weights.save_tensors(
            path,
            result.state_dict(),
            {
                "model": spec["model"],
                "training": spec["training"],
                "image_shape": image_shape,
                "step": trainer.step,
                "seed": seed,
                "weights": "ema" if config.ema_decay else "raw",
                "data_sha256": data_sha256,
                "provenance": provenance.collect("torch", "numpy", "safetensors"),
            },
        )

    first_step = trainer.step
    with (
        _stop_on_signal() as stopped,
        Progress(config.steps, "steps", initial=first_step) as progress,
    ):
        while trainer.step < config.steps:
            if trainer.step in snapshots:
                save_model(folder / f"{trainer.step}.safetensors")
            history.add(trainer.step, *trainer.advance())
            progress.update()
            now = time.monotonic()
            if trainer.step % config.log_every == 0 or trainer.step == config.steps:
                check_finite()
                speed = (trainer.step - first_step) * config.batch_size / max(now - started, 1e-9)
                line = history.write(
                    step=trainer.step,
                    lr={name: optimizer.param_groups[0]["lr"] for name, optimizer in trainer.optimizers.items()},
                    images_seen=trainer.step * config.batch_size,
                    seconds=round(seconds(), 3),
                    images_per_second=round(speed, 2),
                )
                text = ", ".join(f"{name} {value:.4g}" for name, value in line["losses"].items())
                progress.note(f"{text}, {speed:,.0f} images/s")
            if validation is not None and config.validate_every and trainer.step % config.validate_every == 0:
                found = trainer.validate(validation)
                images_seen = trainer.step * config.batch_size
                history.append(step=trainer.step, validation=found, images_seen=images_seen)
                text = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
                log.info("step %d/%d, held-out images: %s", trainer.step, config.steps, text)
            received, due = team.highest(stopped() or 0, team.first and now - last_save > save_seconds)
            if received:
                save_state()
                log.info("stopped by a signal; saved step %d, run again to continue", trainer.step)
                raise SystemExit(128 + received)
            if due:
                save_state()
                last_save = now
    sha256 = save_model(folder / "model.safetensors")
    total = seconds()
    team.share(None)  # nobody leaves before the model is written
    if not team.first:
        return
    write_json(
        folder / "training.json",
        {
            "steps": config.steps,
            "images_seen": config.steps * config.batch_size,
            "seconds": round(total, 3),
            "images_per_second": round(config.steps * config.batch_size / total, 2),
            "batch_size": config.batch_size,
            "precision": config.precision,
            "device": device_label(device, team.size),
            "ranks": team.size,
            "parameters": count_parameters(model),
            "weights": "ema" if config.ema_decay else "raw",
            "ema_decay": config.ema_decay,
            "seed": seed,
            "resumed": resumed,
            "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
            "data_sha256": data_sha256,
            "model_sha256": sha256,
            "history_sha256": history.sha256(),
            "provenance": provenance.collect("torch", "numpy", "safetensors", *team.packages),
        },
    )
    log.info("trained %s steps in %s", f"{config.steps:,}", clock(total))
