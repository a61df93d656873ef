# What a job asks for: a device, GPUs, processes, memory and time. Pure functions from wildcards.


def elsewhere():
    """Whether jobs run on other machines than this one, which can't say whether those have GPUs: a cluster or a cloud."""
    planned = workflow.dryrun and workflow.resource_settings.nodes is not None  # --jobs: of a cluster
    return workflow.non_local_exec or workflow.remote_exec or planned


def device(wildcards):
    """What a job computes on. Elsewhere auto means a GPU: a job without one shall fail, and not take weeks on a CPU."""
    return "cuda" if config["device"] == "auto" and elsewhere() else config["device"]


def gpu(wildcards):
    """How many GPUs a job asks for: none where it will use a CPU, since gpu=1 would run such jobs one after another."""
    here = bool(gpu_indices()) or apple_gpu()
    return int(device(wildcards) in ("cuda", "mps") or (device(wildcards) == "auto" and here))


def ranks(wildcards):
    """How many processes share a job of a model: its `gpus`, one on each, where it uses GPUs, and else its `ranks`.

    On this machine no more than it has GPUs, or --resources gpu=N lets jobs have.
    """
    if not gpu(wildcards):
        return entry(wildcards)["ranks"]
    limit = getattr(workflow.global_resources.get("gpu"), "value", None)
    limits = [] if elsewhere() else [max(1, number) for number in (count_gpus(), limit) if number is not None]
    return min([entry(wildcards)["gpus"], *limits])


def gpus(wildcards):
    """How many GPUs such a job asks for."""
    return ranks(wildcards) if gpu(wildcards) else 0


def mpi(wildcards):
    """What starts the processes of a job: nothing where it is one, which needs no MPI.

    The shell text of a rule is the same for any number of them, so that Snakemake repeats nothing when it changes.
    """
    return "mpiexec" if ranks(wildcards) > 1 else ""


def sampling_threads(wildcards):
    """With how many threads a model is sampled: one for each process, or as many as --set-threads gives the rule sample."""
    given = workflow.resource_settings.overwrite_threads.get("sample")
    given = getattr(given, "raw", given)
    return given if isinstance(given, int) else ranks(wildcards)


def whole_machine(wildcards):
    """The cores of a job beside which nothing shall run: all of this machine.

    Elsewhere those that it computes with: what else runs on its node is for the cluster to say (docs/clusters.md).
    """
    here = 0 if elsewhere() else workflow.resource_settings.cores or 0
    return max(here, sampling_threads(wildcards))


def growing(first, times=lambda wildcards: 1):
    """A resource function: `first` for each process, and as much again with each further attempt, up to the fourth."""
    return lambda wildcards, attempt: min(attempt, 4) * first * times(wildcards)
