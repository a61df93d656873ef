# Workarounds for bugs of Snakemake and its plugins, each with the version that has the bug, and its issue. One more is only an
# order of lines: Snakefile states `wildcard_constraints` before the rules, because Snakemake 9.27 applies later constraints to
# patterns of files, but not of objects in a cloud (no issue known).
import shlex
import sys

from snakemake.io import IOFile
from snakemake.logging import logger

from genbench.files.changes import state
from genbench.reporting import outcome
from genbench.reporting.stops import STOP

# On Ctrl-C, Snakemake 9.27 reports every job that it stops as an error in its rule, with its whole shell command, and ends
# with a WorkflowError. No issue known.
logger.addFilter(STOP)

if "snakemake_storage_plugin_s3" in sys.modules:
    from snakemake_storage_plugin_s3 import StorageObject

    def is_folder(self):
        """Check again until the folder exists. snakemake-storage-plugin-s3 0.3.6 remembers for good that it did not exist
        before the job that makes it, and then misses the snapshots of a training in a cloud. No issue known."""
        self._is_dir = self._is_dir or any(self.get_subkeys())
        return self._is_dir

    StorageObject.is_dir = is_folder


def call_also_as_a_module():
    """If genbench is a module of another workflow, have its onstart, onsuccess and onerror called after those that the other
    workflow defines before `module`. Snakemake 9.27 calls only the other workflow's handlers. Handlers that it defines after
    `module` must call `genbench.onstart()`: https://github.com/snakemake/snakemake/issues/3920"""
    if not workflow.modifier.is_main_snakefile():
        if workflow.modifier.path_modifier.replace_prefix("results/report") != "results/report":
            raise WorkflowError(
                "module: found prefix or replace_prefix, which the options of jobs do not follow; expected none: "
                "--directory says where results/ and resources/ are"
            )
        for name, own in {"onstart": onstart, "onsuccess": onsuccess, "onerror": onerror}.items():
            setattr(workflow, f"_{name}", both(getattr(workflow, f"_{name}"), own))


def both(handler, own):
    """A handler that calls another workflow's handler, and then this workflow's."""

    def call(log):
        handler(log)
        own()

    return call


def command_line():
    """The command that continues the run, if it is Snakemake's; `genbench run` prints its own."""
    path = Path(sys.argv[0])
    own = "snakemake" in (path.name, path.parent.name)
    return shlex.join(["snakemake", *sys.argv[1:]]) if own else None


UNSEEN = object()  # as a parameter: Snakemake records and compares only plain values


def user_files(path, made):
    """A parameter that changes with the user's files at `path`, so that the job that makes the file `made` from them runs
    again. Snakemake 9.27 only looks at a folder's own time, which does not change when a file in it is rewritten.
    https://github.com/snakemake/snakemake/issues/2011

    Older versions of genbench did not record this parameter; for their results, only newer files count. Missing files
    count as unchanged: a job that needs them reports them.
    """
    recorded = [text[1:-1] for text in workflow.persistence.params(IOFile(made)) or () if text.startswith("'files: ")]
    try:
        now, newest = state(existing_path(path, Path(config["data_root"])))
    except (InputError, OSError):
        return recorded[0] if recorded else UNSEEN
    seen = recorded or not os.path.exists(made) or newest > os.stat(made).st_mtime
    return now if seen else UNSEEN


def failed_jobs():
    """The failed jobs, for the message at the end. Snakemake 9.27 has no public API for them:
    https://github.com/snakemake/snakemake/issues/2709"""
    failed = getattr(workflow.scheduler, "failed", ())
    jobs = [single for job in failed for single in (job.jobs if job.is_group() else [job])]
    return [
        outcome.FailedJob(
            job.rule.name,
            job.message.partition(" ")[2],
            [log for log in job.log if not log.is_storage],  # a failed job in a cloud does not upload its log
        )
        for job in jobs
        if job.message
    ]
