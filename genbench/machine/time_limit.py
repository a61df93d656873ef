"""When the cluster ends this job: a training saves itself before then."""

import os
import subprocess
import time
from datetime import datetime

MARGIN = 120.0  # seconds before the end: enough to save, and for the results to reach a shared file system


def end_of_job() -> float | None:
    """When Slurm ends this job, in seconds since the epoch; None outside Slurm or if it sets no end.

    Slurm states it in SLURM_JOB_END_TIME. Snakemake's executor removes that variable from some jobs but leaves the
    number of the job.
    """
    if stated := os.environ.get("SLURM_JOB_END_TIME", ""):
        return float(stated) if stated.isdecimal() else None
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return None
    command = ["squeue", "--noheader", "--jobs", job, "--format", "%e"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
        return datetime.fromisoformat(said).timestamp()  # in the cluster's own time
    except (OSError, subprocess.SubprocessError, ValueError):  # no Slurm to ask, or "NONE"
        return None


def stop_time() -> float | None:
    """When a training saves and leaves, on the clock of `time.monotonic`: MARGIN seconds before the end of the job, or
    a tenth of the time left if that is less."""
    end = end_of_job()
    if end is None:
        return None
    left = end - time.time()
    return time.monotonic() + left - min(MARGIN, 0.1 * left)
