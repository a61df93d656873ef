"""A training, from an entry of a suite to its files: whether it is finished, and what is published.

Until it is finished, everything is in a folder `training` beside the results. claim.py decides which training the
folder belongs to, run.py defines the training of images, and trainer.py one step. Several ranks train one model
together; only the first locks the folder and writes.
"""

import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genbench.data import ImageSet, load_image_set
from genbench.errors import InputError, place
from genbench.files import weights
from genbench.files.artifacts import check_sha256, read_json, sha256_json, write_json
from genbench.files.locks import locked
from genbench.machine.code import code_sha256, is_this_code
from genbench.machine.distributed import connect, disconnect
from genbench.machine.precision import multiplies, native_precision
from genbench.machine.ranks import Ranks, ranks
from genbench.records.record import read_record
from genbench.records.training import Training
from genbench.training.budget import Paid, paid
from genbench.training.claim import BEGUN, begun_as, claim
from genbench.training.loop import STATE, Run
from genbench.training.recipe import TrainConfig
from genbench.training.run import Task, TrainingRun

log = logging.getLogger(__name__)


def _decided(task: Task, folder: Path, team: Ranks, fresh: bool) -> Task:
    """`task` with a precision instead of auto: the one it began in, or else the native one of all ranks' devices."""
    if task.config.precision != "auto":
        return task
    native = team.gather(native_precision(task.device))
    begun = begun_as(task, folder) if team.first and not fresh else None
    precision = team.share(begun or (native[0] if len(set(native)) == 1 else "fp32"))
    if not multiplies(task.device, precision):
        log.warning(
            "continuing in %s, in which this training was begun elsewhere: this machine emulates it, which is slow",
            precision,
        )
    return task.in_precision(precision)


def _paid(task: Task, folder: Path, team: Ranks) -> Task:
    """`task` with the steps that its budget pays for: counted when it begins, then kept in the folder."""
    config, path = task.config, folder / "budget.json"
    if config.flops is None:
        return task
    if team.first and not path.exists():
        write_json(path, asdict(_counted(task)))
    spent = Paid(**team.share(read_json(path) if team.first else {}))
    log.info("%s FLOPs pay for %s steps of %.4g", f"{config.flops:.4g}", f"{spent.steps:,}", spent.flops_per_step)
    return replace(task, config=config.in_steps(spent.steps), flops=spent.flops)


def _counted(task: Task) -> Paid:
    """What the budget of a new task pays for."""
    before = 0
    if task.first_stage is not None:
        stage = task.first_stage[1]
        before = replace(paid(stage["model"], stage["training"], task.image_shape), steps=stage["step"]).flops
    return paid(task.spec["model"], task.spec["training"], task.image_shape, before)


def _check_snapshots(snapshots: Sequence[int], steps: int) -> None:
    if any(not 0 <= snapshot < steps for snapshot in snapshots):
        raise InputError(f"snapshots: found {sorted(snapshots)}, expected steps from 0 to {steps - 1}")


def _publish(source: Path, target: Path) -> None:
    """Make `target` the same file as `source` (a hard link costs no space), whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, temporary)
    os.utime(temporary)  # for Snakemake, an output that is older than its input is out of date
    os.replace(temporary, target)


def publish_results(folder: Path, out: Path, **entry: str) -> None:
    """Publish the files in a training's folder: the model as `out`, and beside it history.jsonl and training.json.

    entry: more keys of training.json, on the suite's entry: a finished training may belong to an entry that was edited.
    """
    _publish(folder / "history.jsonl", out.parent / "history.jsonl")
    write_json(out.parent / "training.json", read_json(folder / "training.json") | entry)
    _publish(folder / "model.safetensors", out)


def _is_finished(done_path: Path, task: Task, names: Sequence[str]) -> bool:
    """Whether the folder of `done_path` holds the undamaged results of `task`, as today's code computes them."""
    if not done_path.exists():
        return False
    try:
        done = read_json(done_path)
        if done["fingerprint"] not in (task.fingerprint(), task.earlier_fingerprint()):
            return False
        if not is_this_code(done["code"], "training", task.spec["model"]):
            log.info(
                "training again: of the same entry, data and device, but by other code, which may give another model"
            )
            return False
        for name in names:
            weights.load_tensors(done_path.with_name(name))
        training = read_record(done_path.with_name("training.json"), Training)
        check_sha256(done_path.with_name("history.jsonl"), str(training.history_sha256))
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
    run: Callable[[Task, Path, Ranks], TrainingRun] = TrainingRun,
) -> None:
    """Train the model of `spec` and write `out`, and beside it history.jsonl, training.json and snapshots/.

    spec: {"model": entry, "training": entry}. images: uint8 (N, H, W, C). held_out: the images for `validate_every`.
    first_stage: the trained model that a model of two stages builds upon (see Model.first_stage).
    While it runs, everything is in the folder `training` beside `out`, saved at least every `save_seconds`; at the end
    the results appear as links to it. A later call with the same arguments continues from the last save (`fresh` starts
    from the beginning), even with another number of ranks, which is not part of the fingerprint.
    `precision: auto` and the steps of a budget of `flops` are decided when a training begins, and kept when it
    continues, even on another machine. run: the class of its loop, such as genbench.tracking.run.TrackedRun.
    Raises InputError for a bad spec, a damaged save, or a loss that is not finite.
    """
    with place("training"):
        config = TrainConfig.from_entry(spec["training"])
    if config.steps is not None:
        _check_snapshots(snapshots, config.steps)
    if config.validate_every and held_out is None:
        raise InputError(f"training: key 'validate_every': found {config.validate_every}, but no held-out images")
    stage = weights.load_tensors(first_stage) if first_stage is not None else None
    task = Task(spec, config, images, labels, data_sha256, seed, sorted(snapshots), held_out, stage, device)
    folder = out.parent / "training"
    done_path = folder / "done.json"
    names = [f"{snapshot}.safetensors" for snapshot in snapshots]
    team = ranks()
    with locked(folder / "lock", "training the same model") if team.first else nullcontext():
        task = _decided(task, folder, team, fresh)
        fingerprint = task.fingerprint()
        done = {"fingerprint": fingerprint, "code": code_sha256("training", task.spec["model"])}
        finished = False
        if team.first:
            for left in folder.glob(".*.tmp*"):  # of a process that was killed while it saved
                left.unlink()
            claim(folder, fingerprint, task.earlier_fingerprint())
            if fresh:
                (folder / STATE).unlink(missing_ok=True)
                (folder / "budget.json").unlink(missing_ok=True)
        task = _paid(task, folder, team)
        names += [f"averages-{step}.safetensors" for step in task.config.average_steps]
        if team.first:
            finished = not fresh and _is_finished(done_path, task, [*names, "model.safetensors"])
            if not finished:
                done_path.unlink(missing_ok=True)
        if team.share(finished):
            log.info("already trained with the same code, data and configuration: it is only published")
        else:
            _check_snapshots(snapshots, task.config.num_steps)
            connect(team, device)
            run(task, folder, team).go(save_seconds)
            disconnect()
        if not team.first:
            return
        if not finished:
            write_json(done_path, done)
            (folder / STATE).unlink(missing_ok=True)
        (out.parent / "snapshots").mkdir(exist_ok=True)
        steps = "".join(f"{step}\n" for step in task.snapshots)
        (out.parent / "snapshots/steps.txt").write_text(steps)  # object storage has no empty folders
        for left in (out.parent / "snapshots").glob("averages-*.safetensors"):  # of another training
            left.unlink()
        for name in names:
            _publish(folder / name, out.parent / "snapshots" / name)
        about = {"entry_sha256": sha256_json(dict(spec))}
        publish_results(folder, out, **about, **({"first_stage_sha256": stage[1]["sha256"]} if stage else {}))


def train_model(
    spec: Mapping[str, Any],
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | None = None,
    first_stage: str | os.PathLike[str] | None = None,
    seed: int = 0,
    snapshots: Sequence[int] = (),
    save_seconds: float = 60.0,
    fresh: bool = False,
    device: torch.device | str = "cpu",
    run: Callable[[Task, Path, Ranks], TrainingRun] = TrainingRun,
) -> None:
    """Train the model of `spec` on a file of images: `train`, with prepared splits instead of arrays.

    data: the training images. test: the held-out images for `validate_every`. The other arguments and the errors are
    those of `train`.
    """
    for key in ("model", "training"):
        if key not in spec:
            raise InputError(f"--spec: key {key!r} is missing; expected model and training")
        if not isinstance(spec[key], Mapping):
            raise InputError(f"--spec: key {key!r}: found {spec[key]!r}, expected a mapping")
    images = load_image_set(data)
    train(
        spec,
        images.images,
        images.labels,
        data_sha256=images.info["sha256"],
        seed=seed,
        out=Path(out),
        snapshots=snapshots,
        held_out=load_image_set(test) if test else None,
        first_stage=Path(first_stage) if first_stage else None,
        device=torch.device(device),
        save_seconds=save_seconds,
        fresh=fresh,
        run=run,
    )


def train_alone(make: Callable[[Path], Run], out: Path, *, save_seconds: float, fresh: bool) -> None:
    """Train, in one process, the run that `make` creates in a folder; publish `out`, history.jsonl and training.json.

    The folder is `training` beside `out`. A later call continues from the last save there; `fresh` starts from the
    beginning.
    """
    folder = out.parent / "training"
    with locked(folder / "lock", "training the same model"):
        if fresh:
            (folder / STATE).unlink(missing_ok=True)
            (folder / BEGUN).unlink(missing_ok=True)
        make(folder).go(save_seconds)
        (folder / STATE).unlink(missing_ok=True)
        publish_results(folder, out)
