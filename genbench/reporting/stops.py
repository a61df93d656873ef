"""A run that is stopped by Ctrl-C reads as one: its jobs have saved, and no error is reported of them."""

import logging

STOPPING = "Terminating processes on user request"  # as Snakemake 9.27 begins the line with which it stops


class Stop(logging.Filter):
    """A filter of Snakemake's log: what follows the line that a run stops is no error, but jobs that end as asked."""

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


STOP = Stop()  # of this process's run
