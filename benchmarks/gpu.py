"""Measure one GPU in ten minutes: equality, training, sampling, features, peers, a real training.

    python -m benchmarks.gpu --images digits.npz --peers PEERS
    python -m benchmarks.gpu --phase training --phase sampling
    python -m benchmarks.gpu --table benchmarks/results/gpu-*.jsonl

It needs only torch, numpy, safetensors and tqdm; FD also needs SciPy, and Inception also torchvision and pytorch-fid: a
line reports it if they are missing. `--images` is an npz with uint8 `images` (or `arr_0`) and `labels`, as
prepare_data.py makes it. PEERS holds checkouts of openai/improved-diffusion, NVlabs/denoising-diffusion-gan and
pytorch/examples, by these names. `--size tiny` runs everything in a minute or two on a CPU.

Phases run in order of importance, each in a separate process: if one crashes or runs out of memory, the others still
run. Unused time of a phase goes to the next; a phase is stopped when its time is over. Each line is written at once to
benchmarks/results/gpu-NAME.jsonl; a failure is a line with its reason.
"""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.on_gpu.pieces import Setting

ROOT = Path(__file__).parents[1]
# By the name of its function in benchmarks/on_gpu, the seconds of each phase: less than ten minutes in total.
PHASES = {"equality": 60, "training": 160, "sampling": 120, "features": 35, "peers": 85, "real": 110}
GRACE = 10  # seconds that a phase has to write its last line after it is asked to stop


class TimeUpError(BaseException):
    """The phase's time is over. Not a subclass of Exception, so nothing on the way catches it."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimeUpError after so many seconds."""

    def stop(number: int, frame: Any) -> None:
        raise TimeUpError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def write(out: Path, line: dict[str, Any]) -> None:
    """Append a line to the results, and print it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(line)
    with out.open("a", encoding="utf-8") as file:
        file.write(text + "\n")
    print(text, flush=True)


def run_phase(name: str, at: "Setting", out: Path, seconds: float) -> None:
    """Measure the pieces of a phase one after another, for so many seconds."""
    try:
        with limited(seconds):
            for piece in getattr(import_module(f"benchmarks.on_gpu.{name}"), name)(at):
                labels, started = {"phase": name, **piece.labels}, time.perf_counter()
                try:
                    found = piece.measure()
                except Exception as error:  # the other pieces go on
                    traceback.print_exc()
                    found = {"reason": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
                except TimeUpError:
                    write(out, {**labels, "reason": "the phase's time was up"})
                    raise
                write(out, {**labels, **found, "piece_seconds": round(time.perf_counter() - started, 2)})
    except TimeUpError:
        write(out, {"phase": name, "reason": f"stopped after {seconds:.0f} s; what is missing was not measured"})


def circumstances(at: "Setting") -> dict[str, Any]:
    """The device and the code with which everything is measured."""
    import torch

    from genbench.machine.code import package_sha256
    from genbench.machine.devices import device_label

    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "phase": "circumstances",
        "device": device_label(at.device),
        "size": "tiny" if at.tiny else "full",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "commit": head.stdout.strip() or None,
        "code_sha256": package_sha256(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def setting(args: argparse.Namespace) -> "Setting":
    """The device, and the images, if any."""
    import numpy as np

    from benchmarks.on_gpu.models import MODELS
    from benchmarks.on_gpu.pieces import Setting
    from genbench.files.npz import read_npz
    from genbench.machine.devices import pick_device

    images = labels = None
    if args.images:
        read = read_npz(args.images, ("images", "arr_0", "labels"))
        images, labels = read.get("images", read.get("arr_0")), read.get("labels")
        if images is None or images.dtype != np.uint8 or images.ndim != 4:
            raise SystemExit(f"error: {args.images}: expected uint8 images (N, H, W, C) as 'images' or 'arr_0'")
        labels = labels if labels is not None and labels.ndim == 1 else None
    device = pick_device(args.device, args.threads)
    return Setting(device, args.size == "tiny", images, labels, args.peers, tuple(args.model or MODELS))


def default_out(at: "Setting") -> Path:
    """benchmarks/results/gpu-NAME.jsonl, where NAME is the device's."""
    from genbench.machine.devices import device_label

    return (
        ROOT
        / "benchmarks/results"
        / f"gpu-{re.sub('[^a-z0-9]+', '-', device_label(at.device).lower()).strip('-')}.jsonl"
    )


def run_all(args: argparse.Namespace, phases: list[str], out: Path) -> None:
    """Run each phase in a process. A phase that dies, or does not stop when it is asked to, also leaves a line."""
    left = 0.0
    for name in phases:
        seconds, started = PHASES[name] + left, time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.gpu", "--phase", name, "--out", str(out), "--size", args.size]
        command += ["--device", args.device, "--seconds", str(seconds)]
        command += [f"--{key}={value}" for key in ("images", "peers", "threads") if (value := getattr(args, key))]
        command += [f"--model={name}" for name in args.model or ()]
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            code = process.wait(seconds + GRACE)
            if code:
                write(out, {"phase": name, "reason": f"the process ended with code {code}"})
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            write(out, {"phase": name, "reason": "killed: it did not stop when its time was up"})
        left = seconds - (time.perf_counter() - started)


def main() -> None:
    begun = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase", action="append", choices=list(PHASES), help="only these; may be repeated")
    parser.add_argument("--model", action="append", help="only these of the four; may be repeated")
    parser.add_argument("--images", type=lambda text: Path(text).resolve(), help="for the real training: an npz")
    parser.add_argument("--peers", type=lambda text: Path(text).resolve(), help="folder of the peers' checkouts")
    parser.add_argument("--size", choices=["full", "tiny"], default="full", help="tiny is for a CPU")
    parser.add_argument("--device", choices=["auto", "cuda", "mps", "cpu"], default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    parser.add_argument("--seconds", type=float, help="limit of the one phase asked for (default: its own)")
    parser.add_argument("--out", type=lambda text: Path(text).resolve(), help="lines are added to this file")
    parser.add_argument("--table", nargs="+", type=Path, metavar="FILE", help="only print results, as Markdown")
    args = parser.parse_args()
    if args.table:
        from benchmarks.on_gpu.table import markdown

        print("\n\n".join(markdown(path) for path in args.table))
        return
    at = setting(args)
    out = args.out or default_out(at)
    phases = args.phase or list(PHASES)
    if args.seconds is None:
        write(out, circumstances(at))
    if len(phases) == 1:
        seconds = args.seconds or PHASES[phases[0]]
        run_phase(phases[0], at, out, seconds - (time.perf_counter() - begun))
    else:
        run_all(args, phases, out)


if __name__ == "__main__":
    main()
