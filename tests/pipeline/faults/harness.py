"""Disturb runs of the toy suite at random, continue them, and compare the results with those of an undisturbed run.

A fault is survived if the continued run ends with bitwise identical results, or if an error names the file and the
repair command, and that command leads to the same results. Any other outcome is a loss.
One line of JSON per fault: what was done, when, what it hit, and the outcome.

    python tests/pipeline/faults/harness.py --work /tmp/faults --out faults.jsonl --kills 100 --minutes 120
"""

import argparse
import json
import os
import random
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))

import toy_run
from toy_run import contents, jobs, prepare, run, start, unlock

import genbench.features
import genbench.sampling.generation
import genbench.training.folder  # noqa: F401 - forked jobs use it
from genbench.errors import InputError
from genbench.files.weights import load_tensors

SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}
GAN = "results/toy/gan/seed0"
PATIENCE = 300  # seconds for a run to end after its last kill


class Lost(Exception):  # noqa: N818
    """A fault that was not survived."""


class Harness:
    """The undisturbed run, and the folder of the disturbed ones."""

    def __init__(self, work: Path, out: Path, seed: int, pause: float | None, quick: bool, ranks: int = 1) -> None:
        self.work, self.out, self.random = work, out, random.Random(seed)
        self.whole, self.seconds, self.rounds, self.ranks = work / "whole", 0.0, 0, ranks
        if not (work / "expected.json").exists():
            shutil.rmtree(work, ignore_errors=True)
            prepare(self.whole, ranks)
            started = time.monotonic()
            status, output = run(self.whole)
            if status:
                raise SystemExit(f"the undisturbed run failed:\n{output[-3000:]}")
            expected = {"seconds": time.monotonic() - started, "contents": contents(self.whole)}
            (work / "expected.json").write_text(json.dumps(expected, indent=2))
        expected = json.loads((work / "expected.json").read_text())
        self.expected, self.seconds = expected["contents"], expected["seconds"]
        self.pause = pause or self.seconds / 8
        self.quick = quick
        self.plan = jobs(self.whole)  # needs a finished run: missing outputs are listed without a command
        self.job_seconds: dict[str, float] = {}

    def record(self, **values: Any) -> None:
        with open(self.out, "a") as file:
            file.write(json.dumps({"time": time.strftime("%H:%M:%S"), **values}) + "\n")

    @contextmanager
    def judged(self, folder: Path, faults: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
        """Record the outcome of `faults` in `folder`, then remove it; a copy of a lost run is kept.

        Yields the verdict, whose outcome the caller may replace by a more detailed one.
        """
        verdict = {"outcome": "same bits"}
        try:
            yield verdict
        except Lost as lost:
            verdict["outcome"] = f"LOST: {lost}"
            shutil.copytree(folder, self.work / "lost" / folder.name, symlinks=True)
        for fault in faults:
            self.record(**fault, **verdict)
        shutil.rmtree(folder)

    def folder(self, source: str) -> Path:
        """Make a new folder: `empty` except for raw data, `prepared` with data and reference features, or `whole`."""
        self.rounds += 1
        folder = self.work / f"round-{os.getpid()}-{self.rounds}"
        shutil.rmtree(folder, ignore_errors=True)
        if source == "empty":
            prepare(folder, self.ranks)
        else:
            shutil.copytree(self.whole, folder, symlinks=True)
            if source == "prepared":
                shutil.rmtree(folder / "results")
        return folder

    def run(self, folder: Path) -> tuple[int, str]:
        """Continue the run in `folder`; returns exit status and output. Without Snakemake, missing outputs are made in
        turn."""
        if not self.quick:
            unlock(folder)
            return run(folder)
        (folder / "job.log").unlink(missing_ok=True)
        for words, outputs in self.plan:
            if not all((folder / output).exists() for output in outputs):
                remove(folder, outputs)
                if status := os.waitpid(fork(folder, words), 0)[1]:
                    return status, (folder / "job.log").read_text(errors="replace")
        return 0, ""

    def compare(self, folder: Path) -> None:
        """Raise Lost unless the results in `folder` are those of the undisturbed run."""
        try:
            found = contents(folder)
        except InputError as error:
            raise Lost(f"a result cannot be read: {error}") from None
        differing = sorted(path for path in self.expected if found.get(path) != self.expected[path])
        if differing or found.keys() - self.expected.keys():
            raise Lost(f"differ: {differing}; new: {sorted(found.keys() - self.expected.keys())}")

    def finish(self, folder: Path, repairs: int = 4) -> list[str]:
        """Continue the run in `folder` to its end, with the repairs that errors ask for; returns these errors."""
        named = []
        for _ in range(repairs + 1):
            status, output = self.run(folder)
            if status == 0:
                self.compare(folder)
                return named
            errors = [line for line in output.splitlines() if line.startswith("error: ")]
            if not errors or "Traceback" in output:
                raise Lost(f"no clear error: {output[-1500:]}")
            told = re.search(r"\brm (\S+|'[^']+')$", errors[0])
            if told is None:
                raise Lost(f"no command that repairs it: {errors[0]}")
            named.append(errors[0])
            subprocess.run(["rm", *shlex.split(told[1])], cwd=folder, check=True)
        raise Lost(f"not repaired after {repairs} attempts: {named}")


# --- Kills ------------------------------------------------------------------------------------------------------------


def scripts_of(snakemake: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the running jobs: Python processes of this snakemake, including every rank of a job with ranks."""
    try:
        children = psutil.Process(snakemake.pid).children(recursive=True)
        return [child for child in children if any("scripts/" in word for word in child.cmdline()[1:2])]
    except psutil.NoSuchProcess:
        return []


def name_of(process: psutil.Process) -> str:
    """Describe a kill's target: the script, the model, and the rank if there are several."""
    words, rank = process.cmdline(), process.environ().get("PMI_RANK")
    out = next((words[i + 1] for i, word in enumerate(words[:-1]) if word in ("--out", "--results")), "")
    return f"{Path(words[1]).stem} {out}" + (f", rank {rank}" if rank is not None else "")


def kills(harness: Harness, wanted: int, deadline: float) -> int:
    """Do one whole run, killed at random times; returns the number of kills."""
    choose = harness.random
    source = choose.choice(["empty", "prepared"])
    folder, hits = harness.folder(source), []
    limit = min(wanted, choose.randint(6, 14))
    log = folder / "kills.log"
    with harness.judged(folder, hits):
        while len(hits) < limit and time.monotonic() < deadline:
            unlock(folder)
            process = start(folder, "--retries", "20", log=log)
            while len(hits) < limit:
                time.sleep(choose.uniform(0, harness.pause))
                if process.poll() is not None:
                    break
                victim = choose.choices(["a job", "snakemake", "everything"], [8, 1, 1])[0]
                how = choose.choice(list(SIGNALS))
                jobs = scripts_of(process)
                if victim == "a job" and not jobs:
                    continue
                at = round(time.time(), 2)
                try:
                    hit = ", ".join(name_of(job) for job in jobs) or "between jobs"
                    if victim == "a job":
                        job = choose.choice(jobs)
                        hit = name_of(job)
                        if hit.startswith("preflight") and choose.random() < 0.9:
                            continue  # it always comes first, so later jobs would hardly be hit
                        job.send_signal(SIGNALS[how])
                    elif victim == "snakemake":
                        process.send_signal(SIGNALS[how])
                    else:
                        os.killpg(process.pid, SIGNALS[how])
                except (psutil.NoSuchProcess, ProcessLookupError, IndexError):
                    continue  # it had just ended
                hits.append({"fault": "kill", "how": how, "victim": victim, "hit": hit, "at": at, "from": source})
                if victim != "a job":
                    break
            try:
                process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                hits[-1]["then"] = f"still there after {PATIENCE} s, SIGKILL"
            if process.returncode == 0 or (len(hits) >= limit and hits[-1]["victim"] == "a job"):
                break
        harness.finish(folder)
    return len(hits)


def quick_kills(harness: Harness, wanted: int) -> int:
    """Do the jobs of one run in turn, without Snakemake, each killed at random times until it ends.

    Each job is forked from this process, which has already imported its packages. So there can be many kills, and they
    hit work instead of imports. As Snakemake does after a kill, this function deletes the outputs.
    """
    choose, folder, hits = harness.random, harness.folder("empty"), []
    with harness.judged(folder, hits):
        for words, outputs in harness.plan:
            seconds = harness.job_seconds.get(words[0], 1.0)
            left = choose.randint(0, 8)  # maximum number of kills for this job
            while True:
                started = time.monotonic()
                child = fork(folder, words)
                status: int | None = None
                if left and len(hits) < wanted:
                    time.sleep(choose.uniform(0, 1.2 * seconds))
                    how, (done, status) = choose.choice(list(SIGNALS)), os.waitpid(child, os.WNOHANG)
                    if not done:
                        os.kill(child, SIGNALS[how])
                        status = os.waitpid(child, 0)[1]
                        out = next((words[i + 1] for i, word in enumerate(words) if word == "--out"), "")
                        at = round(time.monotonic() - started, 3)
                        hit = f"{Path(words[0]).stem} {out}"
                        hits.append({"fault": "kill", "how": how, "victim": "a job, forked", "hit": hit, "at": at})
                        if status:
                            left -= 1
                            remove(folder, outputs)
                            continue
                else:
                    status = os.waitpid(child, 0)[1]
                    harness.job_seconds[words[0]] = time.monotonic() - started
                if status:
                    raise Lost(f"{words[0]} ended with {status}: {(folder / 'job.log').read_text()[-1000:]}")
                break
        harness.compare(folder)
    return len(hits)


def remove(folder: Path, names: list[str]) -> None:
    """Delete outputs, as Snakemake does before a job begins and if it did not see the job finish."""
    for path in (folder / name for name in names):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def fork(folder: Path, words: list[str]) -> int:
    """Start the job with this command line; returns its process id."""
    if child := os.fork():
        return child
    status = 70
    try:
        os.environ |= toy_run.environment()
        os.chdir(folder)
        log = os.open("job.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = [str(toy_run.ROOT / words[0]), *words[1:]]
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        os._exit(status)


# --- Damaged files ----------------------------------------------------------------------------------------------------


def interrupted(harness: Harness, rule: str) -> Path:
    """Make a folder in which the GAN's training or sampling was stopped halfway."""
    kept = harness.work / f"interrupted-{rule}"
    if not kept.exists():
        folder = harness.folder("whole")
        if rule == "train":
            shutil.rmtree(folder / "results/toy/gan")
            waits_for = folder / GAN / "training/state.safetensors"
            history = folder / GAN / "training/history.jsonl"
        else:
            shutil.rmtree(folder / GAN / "final")
            waits_for = folder / GAN / "final/default/samples.parts/30.npz"
        words = next(words for words, outputs in harness.plan if outputs[0].startswith(GAN) and rule in words[0])
        child = fork(folder, words)
        while not waits_for.exists() or (rule == "train" and history.stat().st_size < 1000):
            if os.waitpid(child, os.WNOHANG) != (0, 0):
                raise SystemExit(f"{rule}: ended before it could be interrupted: {(folder / 'job.log').read_text()}")
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        folder.rename(kept)
    copy = harness.folder("whole")
    shutil.rmtree(copy)
    shutil.copytree(kept, copy, symlinks=True)
    return copy


GAN_METRICS = f"{GAN}/final/default/metrics.json"
# By kind: the source folder, the file to damage, and the results to remove, which forces a run to read the file again.
# These include the last results that depend on the file, since Snakemake checks only those.
DAMAGED: dict[str, tuple[str, str, list[str]]] = {
    "save": ("train", f"{GAN}/training/state.safetensors", []),
    "history of a save": ("train", f"{GAN}/training/history.jsonl", []),
    "fingerprint of a save": ("train", f"{GAN}/training/fingerprint", []),
    "kept batch": ("sample", f"{GAN}/final/default/samples.parts/0.npz", []),
    "fingerprint of batches": ("sample", f"{GAN}/final/default/samples.parts/fingerprint", []),
    "model": ("whole", f"{GAN}/model.safetensors", [f"{GAN}/final"]),
    "finished training": ("whole", f"{GAN}/training/model.safetensors", [f"{GAN}/model.safetensors"]),
    "record of a finished training": ("whole", f"{GAN}/training/done.json", [f"{GAN}/model.safetensors"]),
    "samples": ("whole", f"{GAN}/final/default/samples.npz", [f"{GAN}/final/default/features", GAN_METRICS]),
    "features": (
        "whole",
        f"{GAN}/final/default/features/classifier.npz",
        [f"{GAN}/final/default/metrics.json"],
    ),
    "reference features": ("whole", "resources/blobs/features/train-classifier.npz", ["results/toy/real"]),
    "classifier": ("whole", "resources/blobs/classifier.safetensors", [f"{GAN}/final/default/features", GAN_METRICS]),
    "prepared data": ("whole", "resources/blobs/train.npz", ["results/toy/gan"]),
    "prepared test images": ("whole", "resources/blobs/test.npz", ["resources/blobs/features", "results/toy/real"]),
    "data archive": ("whole", "blobs.zip", ["resources/blobs", "results/toy/real"]),
}


def damage(harness: Harness, kind: str) -> None:
    """Truncate a file, or flip one of its bits, and continue the run."""
    source, name, removed = DAMAGED[kind]
    folder = harness.folder("whole") if source == "whole" else interrupted(harness, source)
    path = folder / name
    content = bytearray(path.read_bytes())
    path.unlink()  # other files may be hard links to it
    before = os.stat(folder / "toy.yaml").st_mtime_ns
    how = harness.random.choice(["truncated", "bit flipped", "bit flipped"])
    place = harness.random.randrange(len(content))
    if how == "truncated":
        path.write_bytes(content[:place])
    else:
        content[place] ^= 1 << harness.random.randrange(8)
        path.write_bytes(content)
    if source == "whole" and not name.endswith("done.json"):
        os.utime(path, ns=(before, before))  # a damaged disk does not change times, so Snakemake notices nothing
    for other in removed:
        shutil.rmtree(folder / other) if (folder / other).is_dir() else (folder / other).unlink()
    fault = {"fault": "damage", "file": kind, "how": how, "at": f"byte {place} of {len(content)}"}
    with harness.judged(folder, [fault]) as verdict:
        if kind == "data archive":
            status, output = harness.run(folder)
            errors = [line for line in output.splitlines() if line.startswith("error: ")]
            if status == 0:
                harness.compare(folder)
                named = []
            elif not errors or "blobs.zip" not in errors[0] or "Traceback" in output:
                raise Lost(f"no clear error: {output[-1500:]}")
            else:
                named = errors
                shutil.copy(harness.whole / "blobs.zip", path)  # only its owner can replace it
                harness.finish(folder)
        else:
            named = harness.finish(folder)
        if named:
            verdict["outcome"] = f"named, repaired, same bits: {named[0]}"


# --- A full disk, a jumping clock, two at once ------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Mount `folder` as a separate file system; needs root."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def full_disk(harness: Harness) -> None:
    """Fill the disk when a training is halfway, continue, free the space, continue."""
    source = interrupted(harness, "train")
    folder = harness.work / f"disk-{os.getpid()}"
    with small_disk(folder, 200):
        shutil.copytree(source, folder / "run", symlinks=True)
        run_folder, filler = folder / "run", folder / "filler"
        free = harness.random.choice([100, 300, 1000]) << 10
        room = shutil.disk_usage(folder).free
        with open(filler, "wb") as file:
            file.write(bytes(max(room - free, 0)))
        state = run_folder / GAN / "training/state.safetensors"
        before = load_tensors(state)[1]["step"]
        status, output = harness.run(run_folder)
        errors = [line for line in output.splitlines() if line.startswith("error: ")]
        try:
            if status == 0:
                outcome = f"same bits with {free >> 10} KiB left"
            else:
                if "No space left on device" not in output:
                    raise Lost(f"no clear error: {output[-1500:]}")
                if state.exists() and load_tensors(state)[1]["step"] < before:
                    raise Lost("the save is older than before")
                outcome = f"named, continued, same bits: {errors[0] if errors else 'by Snakemake'}"
            filler.unlink()
            harness.finish(run_folder)
        except (Lost, InputError) as lost:
            outcome = f"LOST: {lost}"
        harness.record(fault="full disk", left=f"{free >> 10} KiB", outcome=outcome)
    shutil.rmtree(source)


def jumping_clock(harness: Harness) -> None:
    """Make the clock jump by hours to years, back and forth, while jobs run (with libfaketime, for these jobs only)."""
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
    if library is None or harness.quick:
        return
    folder = harness.folder("prepared")
    clock = folder / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    process = start(folder, log=folder / "kills.log", **faked)
    jumps: Counter[str] = Counter()
    while process.poll() is None:
        jump = harness.random.choice(["+0", "+2h", "-2h", "+400d", "-400d"])
        (folder / "clock.new").write_text(jump)
        (folder / "clock.new").rename(clock)
        jumps[jump] += 1
        time.sleep(harness.random.uniform(0.5, 5))
    with harness.judged(folder, [{"fault": "jumping clock", "jumps": dict(jumps)}]) as verdict:
        if process.returncode:
            verdict["outcome"] = "continued, same bits"
        harness.finish(folder)


def two_jobs_at_once(harness: Harness) -> None:
    """Run every job twice at the same time, like an orphan of a killed Snakemake beside the job of the next one."""
    folder, fault = harness.folder("empty"), {"fault": "two jobs at once", "jobs": len(harness.plan), "waits": 0}
    with harness.judged(folder, [fault]):
        for words, _ in harness.plan:
            first = fork(folder, words)
            time.sleep(harness.random.uniform(0, 3))
            second = fork(folder, words)
            statuses = [os.waitpid(child, 0)[1] for child in (first, second)]
            if any(statuses):
                raise Lost(f"{words[0]}: statuses {statuses}: {(folder / 'job.log').read_text()[-1500:]}")
        fault["waits"] = (folder / "job.log").read_text().count("waiting for it to finish")
        harness.compare(folder)


def two_at_once(harness: Harness) -> None:
    """Start two runs in one folder, together or one after the other."""
    if harness.quick:
        two_jobs_at_once(harness)
        return
    folder = harness.folder("prepared")
    first = start(folder, log=folder / "first.log")
    pause = harness.random.choice([0.0, harness.random.uniform(0, harness.seconds / 2)])
    time.sleep(pause)
    second = start(folder, log=folder / "second.log")
    statuses = [first.wait(), second.wait()]
    told = [log for log in ("first.log", "second.log") if "cannot be locked" in (folder / log).read_text()]
    with harness.judged(folder, [{"fault": "two at once", "pause": round(pause, 2)}]) as verdict:
        if sum(status == 0 for status in statuses) + len(told) < 2:
            raise Lost(f"statuses {statuses}, told of the lock: {told}")
        harness.finish(folder)
        if told:
            verdict["outcome"] = "one was told of the lock, same bits"


OTHERS: dict[str, Callable[[Harness], None]] = {
    "disk": full_disk,
    "clock": jumping_clock,
    "twice": two_at_once,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder for the runs")
    parser.add_argument("--out", type=Path, required=True, help="file to which one line of JSON per fault is added")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--quick-kills", type=int, default=300, help="kills of single jobs, without Snakemake")
    parser.add_argument("--quick", action="store_true", help="also do damage and other faults without Snakemake")
    parser.add_argument("--damage", nargs="*", default=list(DAMAGED), metavar="FILE", help=", ".join(DAMAGED))
    parser.add_argument("--others", nargs="*", default=list(OTHERS), metavar="FAULT", help=", ".join(OTHERS))
    parser.add_argument("--repeat", type=int, default=1, help="repeats of each damage and other fault")
    parser.add_argument("--minutes", type=float, default=600, help="start nothing new after this time")
    parser.add_argument("--ranks", type=int, default=1, help="ranks of the DDPM's training (without --quick)")
    parser.add_argument("--pause", type=float, help="maximum seconds between two kills (an eighth of a run)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.ranks > 1 and (args.quick or args.quick_kills):
        parser.error("--ranks needs Snakemake: found --quick or --quick-kills, expected --quick-kills 0")
    deadline = time.monotonic() + 60 * args.minutes
    harness = Harness(args.work.resolve(), args.out.resolve(), args.seed, args.pause, args.quick, args.ranks)
    todo: list[Callable[[], Any]] = [lambda kind=kind: damage(harness, kind) for kind in args.damage] * args.repeat
    todo += [lambda other=other: OTHERS[other](harness) for other in args.others] * args.repeat
    done = quick = 0
    while (done < args.kills or quick < args.quick_kills or todo) and time.monotonic() < deadline:
        if quick < args.quick_kills:
            quick += quick_kills(harness, args.quick_kills - quick)
        if done < args.kills:
            done += kills(harness, args.kills - done, deadline)
        if todo:
            todo.pop(0)()
    lines = [json.loads(line) for line in args.out.read_text().splitlines()]
    counts = Counter((line["fault"], line["outcome"].partition(":")[0]) for line in lines)
    for (fault, outcome), count in sorted(counts.items()):
        print(f"{fault}: {outcome}: {count}")
    sys.exit(any(line["outcome"].startswith("LOST") for line in lines))


if __name__ == "__main__":
    main()
