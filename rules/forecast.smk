# The forecast of a run, printed at the end of a dry run, and its progress, printed between Snakemake's lines during a run.
import atexit
import logging

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake.settings.enums import Quietness

from genbench.suites.forecast import START
from genbench.suites.forecast_table import Forecast
from genbench.suites.progress import RunProgress


def forecasts():
    """The forecast of each checked suite, without the network and without running a model."""
    for suite in SUITES.values():
        checked = Checked(suite, config["data_root"])
        if checked.holds():
            yield Forecast(suite, checked.facts, config["device"])


def say_forecasts():
    """Print the forecasts at the end of a dry run that planned jobs."""
    quiet = workflow.output_settings.quiet & {Quietness.RULES, Quietness.ALL}
    if not workflow.dryrun or quiet or not workflow.dag or not any(workflow.dag.needrun_jobs(exclude_finished=False)):
        return
    for forecast in forecasts():
        print(*forecast.lines(), sep="\n", file=sys.stderr)
        if slow := forecast.too_slow():
            print(slow, file=sys.stderr)


class WorkHandler(logging.Handler):
    """Prints the share of finished work whenever Snakemake reports a finished job."""

    def __init__(self, progress):
        super().__init__()
        self.progress = progress

    def emit(self, record):
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            self.progress.start(record.jobid)
        elif event == LogEvent.JOB_FINISHED and (line := self.progress.finish(record.job_id)):
            print(line, file=sys.stderr, flush=True)


def report_progress():
    """Follow the jobs of this run from now on."""
    seconds = {job.path: job.seconds for forecast in forecasts() for job in forecast.all}
    expected = {
        job.jobid: (job.rule.name, max([seconds.get(str(path), 0.0) for path in job.output], default=0.0) or START)
        for job in workflow.dag.needrun_jobs()
        if not job.is_norun
    }
    logger.addHandler(WorkHandler(RunProgress(expected)))


atexit.register(say_forecasts)  # Snakemake calls no onstart, onsuccess or onerror in a dry run
