"""A lost entry in a worker's log: one line, since the client has its step computed again and says so.

To dask the task that was to load it has failed, which it logs as an error, with a traceback that is all ours.
"""

from __future__ import annotations

import functools
import logging

from cachingclient.storage import EntryLost

_LOST = f"{EntryLost.__name__}("


class _Quiet(logging.Filter):
    """Turns dask's message that a task failed into a line, where it failed since an entry is lost."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all records pass."""
        told = record.args if isinstance(record.args, tuple) else ()
        error = next((each for each in told if isinstance(each, str) and each.startswith(_LOST)), None)
        if error is not None:
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
            record.msg, record.args = "%s: %s; the client has it computed again", (told[0], error)
        return True


@functools.cache
def log_losses_quietly() -> None:
    """Log a lost entry as no error of this process's workers from now on."""
    logging.getLogger("distributed.worker").addFilter(_Quiet())
