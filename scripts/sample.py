"""Draw images from a trained model: image i is a function of the model, the sampler's options and seed i."""

import argparse
import json
import logging
import shutil
from contextlib import nullcontext
from pathlib import Path

from genbench.machine.command_line import add_device_argument, json_argument, label_log, range_argument, run
from genbench.machine.devices import claim_gpu

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, metavar="FILE", help="model.safetensors or a snapshot")
    parser.add_argument(
        "--sampler",
        type=json_argument,
        default={},
        metavar="JSON",
        help="options of the model's sampler, and a scheme as quantisation, such as bf16, if wanted; or @file",
    )
    parser.add_argument(
        "--condition",
        type=Path,
        metavar="FILE",
        help="images or labels to start from, by seed, if the sampler does so: a prepared split, or label sets as JSON",
    )
    parser.add_argument("--seeds", type=range_argument, default=range(50_000), metavar="START:STOP")
    parser.add_argument(
        "--draws",
        type=int,
        help="of all label sets given by --condition, a batch each, instead of --seeds and --batch-size",
    )
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True, metavar="samples.npz")
    parser.add_argument("--timing", type=Path, metavar="FILE.json", help="seconds, images/s, NFE, device")
    parser.add_argument(
        "--grid", metavar="FILE.png", help="a picture of the first 100 samples, or one of each label set"
    )
    parser.add_argument("--threads", type=int, help="CPU threads, of all ranks together (default: torch's)")
    add_device_argument(parser)
    args = parser.parse_args()
    for key, value in (("--batch-size", args.batch_size), ("--draws", args.draws)):
        if value is not None and value < 1:
            parser.error(f"{key}: found {value}, expected at least 1")

    label_log(args.out)
    claim_gpu(args.device)
    import numpy as np
    import torch

    from genbench.data import ImageSet, load_image_set
    from genbench.data.objects import Labels, read_labels
    from genbench.files.artifacts import array_sha256, atomic_path, write_json
    from genbench.files.locks import locked
    from genbench.machine import provenance
    from genbench.machine.devices import device_label, pick_device
    from genbench.machine.ranks import ranks
    from genbench.sampling.checkpoint import load_model
    from genbench.sampling.generation import find_condition, generate
    from genbench.sampling.grids import blank, grid, save_png

    device = pick_device(args.device, args.threads)
    model, info = load_model(args.model, device)
    scheme = args.sampler.pop("quantisation", None) if isinstance(args.sampler, dict) else None
    options = model.check_sampler(args.sampler, f"{args.model}: sampler")
    seeds, batch_size, shown, columns = args.seeds, args.batch_size, 100, 10
    given: ImageSet | Labels | None = None
    if args.condition and args.condition.suffix == ".json":
        given = read_labels(args.condition)
        shown, columns = len(given.sets), 8
        if args.draws:
            seeds, batch_size = range(args.draws * len(given.sets)), len(given.sets)
    elif args.condition:
        given = load_image_set(args.condition)
    condition = find_condition(model, options, given, device)
    quantised, reason = None, None
    if scheme is not None:
        from genbench.sampling.quantisation import CALIBRATION_IMAGES, UnavailableError, check_scheme, quantise

        check_scheme(model, scheme, f"{args.model}: sampler: quantisation")
        y = condition.of(torch.arange(CALIBRATION_IMAGES, device=device)) if condition else None
        try:
            quantised = quantise(model, scheme, device, options, y)
        except UnavailableError as error:  # no failure: the row says so, and the run goes on
            reason = str(error)
            log.warning("%s is not available: %s", scheme, reason)
    parts = args.out.with_name(args.out.stem + ".parts")
    team = ranks()
    lock = locked(args.out.with_name(f".{args.out.stem}.lock"), f"drawing {args.out}") if team.first else nullcontext()
    with lock:
        drawn = None
        if reason is None:
            drawn = generate(
                model,
                info,
                options,
                seeds=seeds,
                batch_size=batch_size,
                device=device,
                parts_folder=parts,
                condition=condition,
                precision=scheme or "fp32",
                team=team,
            )
        if not team.first:
            return
        if drawn is not None:
            images, timing = drawn
        else:
            channels, height, width = model.image_shape
            images, seeds = np.empty((0, height, width, channels), np.uint8), range(0)
            timing = {"unavailable": reason, "precision": scheme, "device": device_label(device), "options": options}
        timing["quantisation"] = quantised
        timing["samples_sha256"] = array_sha256(images)
        packages = ("torch", "numpy", "safetensors", *["torchao"] * (scheme is not None), *team.packages)
        timing["provenance"] = provenance.collect(*packages)
        if args.grid:
            save_png(args.grid, grid(images[:shown], columns=columns) if len(images) else blank(*images.shape[1:]))
        if args.timing:
            write_json(args.timing, timing)
        with atomic_path(args.out) as temporary:
            np.savez(temporary, arr_0=images, seeds=np.arange(seeds.start, seeds.stop), info=json.dumps(timing))
        shutil.rmtree(parts, ignore_errors=reason is not None)


if __name__ == "__main__":
    run(main)
