# The resources of a job: its device, GPUs, processes, memory and time. Pure functions of wildcards.


def elsewhere():
    """Whether jobs run on other machines, in a cluster or a cloud, whose GPUs are unknown here."""
    planned = workflow.dryrun and workflow.resource_settings.nodes is not None  # --jobs is for a cluster
    return workflow.non_local_exec or workflow.remote_exec or planned


def device(wildcards):
    """A job's device. Elsewhere auto means a GPU, so that a job without one fails instead of taking weeks on a CPU."""
    return "cuda" if config["device"] == "auto" and elsewhere() else config["device"]


def gpu(wildcards):
    """How many GPUs a job requests: none if it will use a CPU, because gpu=1 would run such jobs one after another."""
    here = bool(count_gpus()) or apple_gpu()
    return int(device(wildcards) in ("cuda", "mps") or (device(wildcards) == "auto" and here))


def ranks(wildcards):
    """How many processes share a model's job: its `gpus`, with one process on each, if it uses GPUs; else its `ranks`.

    On this machine, at most its number of GPUs, and at most N with --resources gpu=N.
    """
    if not gpu(wildcards):
        return entry(wildcards)["ranks"]
    limit = getattr(workflow.global_resources.get("gpu"), "value", None)
    limits = [] if elsewhere() else [max(1, number) for number in (count_gpus(), limit) if number is not None]
    return min([entry(wildcards)["gpus"], *limits])


def gpus(wildcards):
    """How many GPUs such a job requests."""
    return ranks(wildcards) if gpu(wildcards) else 0


def mpi(wildcards):
    """The command that starts a job's processes; empty for a single process, which does not need MPI.

    A rule's shell command is the same for any number of processes, so a change of this number does not repeat a job.
    """
    return "mpiexec" if ranks(wildcards) > 1 else ""


def sampling_threads(wildcards):
    """The number of threads for sampling: one for each process, or as many as --set-threads gives the rule sample."""
    given = workflow.resource_settings.overwrite_threads.get("sample")
    given = getattr(given, "raw", given)
    return given if isinstance(given, int) else ranks(wildcards)


def whole_machine(wildcards):
    """The cores of a job that must run without others: all of this machine.

    Elsewhere, the cores that it uses: the cluster decides what else runs on its node (docs/clusters.md).
    """
    here = 0 if elsewhere() else workflow.resource_settings.cores or 0
    return max(here, sampling_threads(wildcards))


def growing(first, times=lambda wildcards: 1):
    """A resource function: `first` for each process, times the number of the attempt, up to 4."""
    return lambda wildcards, attempt: min(attempt, 4) * first * times(wildcards)
