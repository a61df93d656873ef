"""A run that is stopped by Ctrl-C is logged as stopped: its jobs save their state, and none is reported as failed."""

import logging

STOPPING = "Terminating processes on user request"  # the beginning of the line that Snakemake 9.27 logs when it stops


class Stop(logging.Filter):
    """A filter of Snakemake's log: errors after the line that a run stops are left out, since jobs end as requested."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged."""
        if record.getMessage().startswith(STOPPING):
            self.seen = True
            record.msg, record.args = "Stopping: jobs save what they have, which may take a minute.", ()
            return True
        return not (self.seen and record.levelno >= logging.ERROR)


STOP = Stop()  # for the run of this process
